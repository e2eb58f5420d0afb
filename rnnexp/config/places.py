"""What the option files put where: which classes stand at which key of a config.

The files are read one by one and nothing is composed, so that all options are seen, those of the
user's folders too. Hydra has to be initialised.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rnnexp.config import groups
from rnnexp.config.explain import explain
from rnnexp.errors import UserError


@dataclass
class Place:
    """A key of a config, and what the option files put there.

    classes: their names, each with the first file that names it. below: the keys inside.
    """

    classes: dict[str, str] = field(default_factory=dict)
    below: dict[str, "Place"] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether it is more than a single value."""
        return bool(self.classes or self.below)

    def at(self, key: str) -> "Place":
        """The place `key`, with dots between its parts; "" is this one."""
        first, _, rest = key.partition(".")
        return self.below.setdefault(first, Place()).at(rest) if first else self

    def everywhere(self, key: str = "") -> Iterator[tuple[str, "Place"]]:
        """This place and all below it, with their keys."""
        yield key, self
        for name, place in self.below.items():
            yield from place.everywhere(f"{key}.{name}" if key else name)

    def add(self, content: Any, file: str) -> None:
        for name, value in content.items() if isinstance(content, dict) else ():
            if name == "_target_":
                self.classes.setdefault(str(value), file)
            elif isinstance(name, str) and name not in ("_partial_", "defaults"):
                self.at(name).add(value, file)


@dataclass(frozen=True)
class OptionFile:
    """A file of a group. key: where its content stands in a config; "" is the top level."""

    group: str
    name: str
    key: str
    content: dict[str, Any]


def option_files() -> dict[str, list[OptionFile]]:
    """The files of every group, and those that the options of a group share."""
    return {
        group: [_option_file(group, name) for name in groups.files(group)]
        for group in groups.all_groups()
    }


def places(files: Iterable[OptionFile]) -> Place:
    """What all these files together put where."""
    root = Place()
    for file in files:
        root.at(file.key).add(file.content, f"{file.group}/{file.name}.yaml")
    return root


def chosen_in_train() -> list[str]:
    """The groups of the defaults list of train.yaml, in its order."""
    content, _ = _load("train")
    keys = [key for entry in content["defaults"] if isinstance(entry, dict) for key in entry]
    return [key.removeprefix("optional ").partition("@")[0] for key in keys]


def _option_file(group: str, name: str) -> OptionFile:
    content, package = _load(f"{group}/{name}")
    key = (package or "_group_").replace("_group_", group.replace("/", "."))
    return OptionFile(group, name, key.removeprefix("_global_").removeprefix("."), content)


def _load(path: str) -> tuple[dict[str, Any], str | None]:
    """What stands in a file, and in its `# @package`."""
    loader = GlobalHydra.instance().config_loader()
    try:
        # As in Hydra, the first source that has the file counts.
        source = next(source for source in loader.get_sources() if source.is_config(path))
        found = source.load_config(path)
        content: Any = OmegaConf.to_container(found.config)
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
        raise UserError(explain(error, [])) from error
    if not isinstance(content, dict):
        raise UserError(f"{path}.yaml holds a list, it must hold keys and their values")
    return content, found.header.get("package")
