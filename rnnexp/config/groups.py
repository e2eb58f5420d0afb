"""The config groups and their options, while Hydra is initialised."""

import textwrap
from collections.abc import Iterator
from string import Template

from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType

# Folders that are no groups: their options belong to the group around them (model=lecture/textnet).
FOLDERS = ("model/lecture",)


# Groups that are no part of a run's config. space: what `rnnexp search` varies.
NOT_OF_A_RUN = ("hydra", "space")


def top_groups() -> list[str]:
    """The groups of the top level that are part of a run's config."""
    found = GlobalHydra.instance().config_loader().list_groups("")
    return [group for group in found if group not in NOT_OF_A_RUN]


def all_groups(parent: str = "") -> Iterator[str]:
    """Every group below `parent`, subgroups included: `data`, `data/cleaning`, ..."""
    for name in sorted(GlobalHydra.instance().config_loader().list_groups(parent)):
        group = f"{parent}/{name}" if parent else name
        if group not in (*NOT_OF_A_RUN, *FOLDERS):
            yield group
            yield from all_groups(group)


def options(group: str) -> list[str]:
    """The options of a group."""
    return [option for option in files(group) if not option.startswith("_")]


def files(group: str) -> list[str]:
    """The options of a group, and the files that options share, which begin with an underscore."""
    loader = GlobalHydra.instance().config_loader()
    found = loader.get_group_options(group, ObjectType.CONFIG)
    for parent, _, folder in (path.rpartition("/") for path in FOLDERS):
        if parent == group:
            inside = loader.get_group_options(f"{group}/{folder}", ObjectType.CONFIG)
            found = [*found, *(f"{folder}/{option}" for option in inside)]
    return found


def group_and_option(path: str) -> tuple[str, str]:
    """model/gru -> model, gru; model/lecture/textnet -> model, lecture/textnet."""
    group, _, option = path.rpartition("/")
    if group in FOLDERS:
        group, _, folder = group.rpartition("/")
        option = f"{folder}/{option}"
    return group, option


def help_text(template: str) -> str:
    """`template` with the groups and options in the place of $APP_CONFIG_GROUPS."""
    lines = [
        textwrap.fill(f"{group}: {', '.join(options(group))}", 100, subsequent_indent="  ")
        for group in all_groups()
    ]
    return Template(template).substitute(APP_CONFIG_GROUPS="\n".join(lines) + "\n")
