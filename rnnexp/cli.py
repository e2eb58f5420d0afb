"""The command `rnnexp`: one function for each subcommand, which imports what it needs itself.

Exit codes: 0 done; 1 a run or a check failed; 2 the user's mistake; 3 a run cannot be repeated;
4 it was repeated on different ground, with different numbers; 130 interrupted; 141 nobody reads
what is printed.
"""

import argparse
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rnnexp import __version__
from rnnexp.errors import CannotRerun, RunFailed, UserError
from rnnexp.nearest import did_you_mean

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code. A mistake is one sentence on stderr."""
    try:
        try:
            return _answer(*(list(sys.argv[1:] if argv is None else argv) or ["--help"]))
        finally:
            if sys.stdout:  # a process may have none
                sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on, as after `| head`; nor shall Python try, at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _answer(name: str, *arguments: str) -> int:
    try:
        if name in ("-h", "--help"):
            print(_help())
            return 0
        if name == "--version":
            print(f"rnnexp {__version__}")
            return 0
        if name not in COMMANDS:
            raise UserError(f"there is no command {name!r}{did_you_mean(name, COMMANDS)}")
        return COMMANDS[name](list(arguments))
    except UserError as error:
        return _say(error, code=2)
    except RunFailed as error:
        return _say(error, code=1)
    except CannotRerun as error:
        return _say(error, code=3)
    except KeyboardInterrupt:
        return _say("interrupted", code=130)


def _say(sentence: object, code: int) -> int:
    print(f"rnnexp: {sentence}", file=sys.stderr)
    return code


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {_summary(command)}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Run, compare and exactly repeat experiments with recurrent neural networks.",
            "",
            "usage: rnnexp COMMAND ...",
            "",
            *lines,
            "",
            "rnnexp COMMAND --help says more. To begin: rnnexp train",
        ]
    )


def _summary(command: Callable[[list[str]], int]) -> str:
    return (command.__doc__ or "").partition("\n")[0].rstrip(".")


def _parser(command: Callable[[list[str]], int]) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(f"rnnexp {command.__name__}", description=_summary(command))


def _folder_parser(command: Callable[[list[str]], int]) -> argparse.ArgumentParser:
    """Of a command that builds what a run folder names."""
    parser = _parser(command)
    parser.add_argument("folder", metavar="DIR", type=Path, help="a run folder")
    parser.add_argument(
        "--allow",
        metavar="PACKAGE",
        action="append",
        default=[],
        help="let classes of this package of yours be built; its code is run",
    )
    return parser


def _allow(packages: list[str]) -> None:
    """In the environment, so that there is one list; a package may lie in the current folder."""
    if packages:
        before = [os.environ["RNNEXP_ALLOW"]] if "RNNEXP_ALLOW" in os.environ else []
        os.environ["RNNEXP_ALLOW"] = ",".join(before + packages)
        sys.path.append(os.getcwd())


# Commands ---------------------------------------------------------------------------------------


def train(argv: list[str]) -> int:
    """Train a network, or sweep over several settings with -m."""
    import hydra

    from rnnexp import config

    options, overrides, flags = _train_options(argv)
    if options.hydra_help or options.shell_completion:
        jobs = []
    else:
        jobs = config.jobs(overrides, options.multirun, options.config_dir)
    is_run = not (options.help or options.cfg or options.info)
    mistakes = []
    for job in jobs:
        composed = config.compose(job, options.config_dir)
        try:
            if is_run:
                config.check(composed)
        except UserError as error:
            mistakes.append(error)
    if mistakes and len(mistakes) == len(jobs):  # else those that are right are run
        raise mistakes[0]

    if options.help:
        print(config.help_text(options.config_dir))
        return 0

    launch = Launch(sys.argv)
    sys.argv = ["rnnexp", *overrides, *flags]
    try:
        hydra.main(
            version_base=config.HYDRA_VERSION_BASE,
            config_path=str(config.config_dir()),  # a relative one means a package to Hydra
            config_name="train",
        )(launch.run)()
    finally:
        sys.argv = launch.argv
    return launch.end()


def test(argv: list[str]) -> int:
    """Evaluate a finished run again, from its folder alone."""
    arguments = _folder_parser(test).parse_args(argv)
    _allow(arguments.allow)

    from rnnexp.evaluate import evaluate

    return evaluate(arguments.folder)


def rerun(argv: list[str]) -> int:
    """Run a recorded run again and say whether the result is identical.

    With overrides it is a new experiment instead.
    """
    parser = _folder_parser(rerun)
    parser.add_argument(
        "overrides", metavar="KEY=VALUE", nargs="*", help="what a new experiment changes"
    )
    arguments = parser.parse_intermixed_args(argv)
    _allow(arguments.allow)

    from rnnexp.rerun import rerun as run_again

    return run_again(arguments.folder, arguments.overrides)


def predict(argv: list[str]) -> int:
    """Tell the classes of new texts, or the next values of series, by a finished run."""
    parser = _folder_parser(predict)
    parser.usage = "rnnexp predict DIR [--text TEXT | --csv FILE] [--output FILE] [data.KEY=VALUE]"
    parser.add_argument(
        "--text",
        action="append",
        default=[],
        help="a text; may be given several times; - for one a line of the standard input, which is "
        "read where neither --text nor --csv is given",
    )
    parser.add_argument(
        "--csv",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="a series as the run's own files have it, or a folder of them; may be given several "
        "times",
    )
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="write to this .csv or .json instead"
    )
    parser.add_argument(
        "overrides",
        metavar="data.KEY=VALUE",
        nargs="*",
        help="how the file is read, where that differs, e.g. data.datetime_format",
    )
    arguments = parser.parse_intermixed_args(argv)
    _allow(arguments.allow)

    from rnnexp.predict import predict as predict_new

    return predict_new(
        arguments.folder, arguments.text, arguments.csv, arguments.output, arguments.overrides
    )


def leaderboard(argv: list[str]) -> int:
    """Show all runs as one table, best first, seeds together."""
    parser = _parser(leaderboard)
    parser.add_argument(
        "folders", metavar="DIR", type=Path, nargs="*", help="folders with runs, by default outputs"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_const", dest="form", const="markdown")
    form.add_argument("--csv", action="store_const", dest="form", const="csv")
    form.add_argument("--json", action="store_const", dest="form", const="json")
    form.add_argument(
        "--check", metavar="FILE", type=Path, help="expected values; 1 if one is missed"
    )
    form.add_argument(
        "--compare",
        metavar=("A", "B"),
        nargs=2,
        help="two groups of runs, each KEY=VALUE[,KEY=VALUE], paired by seed",
    )
    arguments = parser.parse_args(argv)

    from rnnexp import console
    from rnnexp.leaderboard import find_runs, tables, to_markdown, to_rich, whole_table
    from rnnexp.paired import check, compare

    entries = find_runs(arguments.folders or [Path(os.environ.get("RNNEXP_OUTPUTS", "outputs"))])
    for entry in entries:
        if entry.damage:
            print(f"rnnexp: not ranked: {entry.damage}", file=sys.stderr)
    if arguments.check:
        return check(entries, arguments.check)
    if arguments.compare:
        return compare(entries, *arguments.compare)
    match arguments.form:
        case "csv":
            print(whole_table(entries).to_csv(index=False), end="")
        case "json":
            print(whole_table(entries).to_json(orient="records", indent=2, double_precision=15))
        case "markdown":
            for title, table in tables(entries).items():
                print(to_markdown(title, table))
        case _:
            for title, table in tables(entries).items():
                console.show(to_rich(title, table))
    return 0


def data(argv: list[str]) -> int:
    """List the sources of data, check that one can be read, fetch one, or convert it."""
    parser = _parser(data)
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="list | check | fetch | convert"
    )
    actions.add_parser("list", help="the sources, and which of them are here")
    check = actions.add_parser("check", help="read a source as a run would and report on it")
    check.add_argument("name", metavar="NAME", help="an option of the config group data")
    check.add_argument("overrides", metavar="data.KEY=VALUE", nargs="*", help="as for train")
    fetch = actions.add_parser("fetch", help="download a source")
    fetch.add_argument("name", metavar="NAME", help="a source of `rnnexp data list`")
    fetch.add_argument("--url", help="load the archive from here instead of its home")
    convert = actions.add_parser(
        "convert", help="write reviews as JSON lines, or in the format of the lecture's archives"
    )
    convert.add_argument("name", metavar="NAME", help="an option of the config group data")
    convert.add_argument("folder", type=Path, metavar="FOLDER", help="where to write, a new folder")
    convert.add_argument("overrides", metavar="data.KEY=VALUE", nargs="*", help="as for train")
    convert.add_argument("--to", choices=("json", "lecture"), default="json", help="default: json")
    # argparse would not take them behind another option.
    overrides = [argument for argument in argv if re.match(r"data[\w./]*=", argument)]
    arguments = parser.parse_args([argument for argument in argv if argument not in overrides])

    from rnnexp import sources

    match arguments.action:
        case "check":
            return sources.check_source(arguments.name, [*arguments.overrides, *overrides])
        case "convert":
            overrides = [*arguments.overrides, *overrides]
            return sources.convert_source(arguments.name, arguments.folder, overrides, arguments.to)
        case "fetch":
            return sources.fetch_source(arguments.name, arguments.url)
    return sources.list_sources()


def doctor(argv: list[str]) -> int:
    """Print versions, machine and data found: what belongs in a bug report."""
    _parser(doctor).parse_args(argv)

    from rnnexp.doctor import report

    print(report())
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "test": test,
    "rerun": rerun,
    "predict": predict,
    "leaderboard": leaderboard,
    "data": data,
    "doctor": doctor,
}


# Training ---------------------------------------------------------------------------------------


def _train_options(argv: list[str]) -> tuple[argparse.Namespace, list[str], list[str]]:
    """Hydra's options, the overrides, and the flags as Hydra is to see them."""
    from hydra._internal.utils import get_args_parser

    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--allow", action="append", default=[])
    allowed, rest = own.parse_known_args(argv)
    _allow(allowed.allow)

    parser = get_args_parser()
    parser.prog = "rnnexp train"
    parser.usage = "rnnexp train [options] [group=option ...] [key=value ...]"
    options = parser.parse_intermixed_args(rest)
    for name in ("experimental_rerun", "config_path", "config_name"):
        if getattr(options, name) is not None:
            raise UserError(f"rnnexp does not use --{name.replace('_', '-')} of Hydra")
    if options.multirun and (options.cfg or options.info):
        raise UserError("--cfg and --info show one config, so they do not go with --multirun")
    if options.resolve and not (options.cfg or options.help):
        raise UserError("--resolve goes with --cfg job")
    options.config_dir = Path(options.config_dir) if options.config_dir else None
    flags = [argument for argument in rest if argument not in options.overrides]
    return options, list(options.overrides), flags


class Launch:
    """The jobs of one `rnnexp train`: a failing one does not stop those after it."""

    def __init__(self, argv: list[str]) -> None:
        self.argv = argv
        self.jobs = 0
        self.is_sweep = False
        self.failures: list[tuple[int, str, str]] = []  # exit code, overrides, folder

    def run(self, config: "DictConfig") -> float | None:
        """One job, as Hydra calls it; Hydra gets to see a number and no error."""
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        from rnnexp.experiment import run

        sys.argv = self.argv
        hydra = HydraConfig.get()
        self.jobs += 1
        self.is_sweep = hydra.mode == RunMode.MULTIRUN
        try:
            return run(config, Path(hydra.runtime.output_dir))
        except UserError as error:
            code = _say(error, code=2)
        except RunFailed as error:
            code = _say(error, code=1)
        except Exception:
            traceback.print_exc()
            code = 1
        self.failures.append((code, " ".join(hydra.overrides.task), hydra.runtime.output_dir))
        return None

    def end(self) -> int:
        """List the failed jobs of a sweep, and return the exit code."""
        if not self.failures:
            return 0
        if not self.is_sweep:
            return self.failures[0][0]
        _say(f"{len(self.failures)} of {self.jobs} jobs failed:", code=1)
        for _, overrides, folder in self.failures:
            print(f"  {overrides or '(no overrides)'}  in {folder}", file=sys.stderr)
        return 1
