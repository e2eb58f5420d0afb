"""Complete commands and overrides with the tab key: eval "$(rnnexp completion bash)".

The line belongs in ~/.bashrc. In zsh, autoload -U bashcompinit and bashcompinit come before it.
"""

import os
from pathlib import Path

from rnnexp.commands.shared.options import command_parser
from rnnexp.config.compose import compose_whole, initialised, with_quickstart
from rnnexp.config.explain import keys_of
from rnnexp.config.groups import all_groups, options
from rnnexp.errors import UserError
from rnnexp.printing import say

LINE = "RNNEXP_COMPLETION_LINE"  # what has been typed so far, up to the cursor
# Bash breaks words at `=`, unless the user says otherwise: it replaces the last word only. A word
# that is complete ends with a space.
BASH = f"""\
_rnnexp_completion() {{
    local line="${{COMP_LINE:0:COMP_POINT}}" last="${{COMP_WORDS[COMP_CWORD]}}" IFS=$'\\n'
    local word="${{line##* }}"
    case "$last" in [=:]) last="" ;; esac
    COMPREPLY=($({LINE}="$line" "${{COMP_WORDS[0]}}" completion words 2>/dev/null))
    COMPREPLY=("${{COMPREPLY[@]#"${{word%"$last"}}"}}")
}}
complete -o nospace -o default -F _rnnexp_completion rnnexp"""


def main(argv: list[str]) -> int:
    parser = command_parser(__name__, __doc__)
    parser.add_argument("what", metavar="bash", choices=("bash", "words"), help="print the script")
    if parser.parse_args(argv).what == "bash":
        say(BASH)
    else:
        say(*words(os.environ.get(LINE, "")))
    return 0


def words(line: str) -> list[str]:
    """What the last word of a command line can become."""
    _, *typed, word = [*line.split(" "), ""] if " " not in line else line.split(" ")
    match [one for one in typed if one]:
        case []:
            found = {f"{file.stem} " for file in Path(__file__).parent.glob("[!_]*.py")}
        case ["data"]:
            found = {"list ", "check ", "fetch ", "convert "}
        case ["data", "check" | "fetch" | "convert"]:
            with initialised(None):
                found = {f"{name} " for name in options("data")}
        case ["search", *_] if word.startswith("space="):
            with initialised(None):
                found = {f"space={option} " for option in options("space")}
        case ["train" | "search" as command, *overrides]:
            others = [one for one in overrides if not one.startswith(("-", "space="))]
            found = _overrides(others, word) | ({"space="} if command == "search" else set())
        case _:
            found = set()  # the shell completes names of files
    return sorted(one for one in found if one.startswith(word))


def _overrides(others: list[str], word: str) -> set[str]:
    """Overrides that begin with `word`: groups and keys down to the next dot or slash, or the
    options of a group. others: the other overrides on the line."""
    sign = word[: len(word) - len(word.lstrip("+~"))]
    key, equals, _ = word.lstrip("+~").partition("=")
    with initialised(None):
        groups = set(all_groups())
        if equals:
            found = {f"{key}={option} " for option in options(key)} if key in groups else set()
        else:
            try:
                config = compose_whole(with_quickstart(others))
            except UserError:  # also of a sweep
                config = compose_whole(with_quickstart([]))
            names = {*groups, *(name for name in keys_of(config) if not name.startswith("hydra"))}
            found = {_down_to_next_level(name, key) for name in names if name.startswith(key)}
    removed = sign == "~"
    return {f"{sign}{one.removesuffix('=') if removed else one}" for one in found}


def _down_to_next_level(name: str, typed: str) -> str:
    """model.recurrence.cell, typed mod -> model.; model, typed mod -> model="""
    rest = name[len(typed) :]
    ends = [place for place in (rest.find("."), rest.find("/")) if place >= 0]
    return typed + rest[: min(ends) + 1] if ends else f"{name}="
