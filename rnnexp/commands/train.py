"""Train a network, or sweep over several settings with -m."""

import argparse
import io
import traceback
from contextlib import redirect_stdout

from rnnexp.commands.leaderboard import show_sweep
from rnnexp.commands.shared.options import add_config_options, allow, command_parser
from rnnexp.config import help_text
from rnnexp.config.compose import initialised, with_quickstart
from rnnexp.errors import RunFailed, UserError
from rnnexp.launching.plan import check_jobs, plan
from rnnexp.printing import say

INFORMATION = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def main(argv: list[str]) -> int:
    parser = _parser()
    options = parser.parse_intermixed_args(argv)
    _check_options(options)
    allow(options.allow)
    if options.hydra_help:
        return _ask_hydra(parser, options)
    planned = plan(options.overrides, options.multirun, options.config_dir)
    if options.help:
        say(help_text(options.config_dir))
        return 0
    if options.cfg or options.info:
        return _ask_hydra(parser, options)
    check_jobs(planned.jobs)

    from rnnexp.launching.launch import launch  # late: it imports torch

    try:
        failed = launch(planned, options.config_dir)
    except (UserError, RunFailed):
        raise
    except Exception:
        traceback.print_exc()
        return 1
    return show_sweep(planned.folder, failed, len(planned.jobs)) if planned.sweep else 0


def _parser() -> argparse.ArgumentParser:
    """The options of rnnexp, and the options of Hydra that it supports."""
    parser = command_parser(__name__, __doc__, add_help=False)
    parser.usage = "rnnexp train [options] [group=option ...] [key=value ...]"
    parser.add_argument("overrides", nargs="*", help="group=option or key=value")
    parser.add_argument(
        "-h", "--help", action="store_true", help="show groups, options and examples"
    )
    parser.add_argument("-m", "--multirun", action="store_true", help="sweep over several values")
    parser.add_argument("-r", "--run", action="store_true", help="run one job, the default")
    parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"), help="show the config")
    parser.add_argument("--resolve", action="store_true", help="with --cfg: resolve references")
    parser.add_argument("-p", "--package", help="with --cfg: show this part only")
    parser.add_argument(
        "-i",
        "--info",
        const="all",
        nargs="?",
        choices=INFORMATION,
        help="show how Hydra composes it",
    )
    add_config_options(parser)
    parser.add_argument("--hydra-help", action="store_true", help="show Hydra's own help")
    parser.add_argument("-sc", "--shell-completion", action="store_true", help=argparse.SUPPRESS)
    for name in ("--experimental-rerun", "--config-path", "--config-name"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    return parser


def _check_options(options: argparse.Namespace) -> None:
    for name in ("experimental_rerun", "config_path", "config_name"):
        if getattr(options, name) is not None:
            raise UserError(f"rnnexp does not support Hydra's --{name.replace('_', '-')}")
    if options.shell_completion:
        raise UserError('for completion in bash, type eval "$(rnnexp completion bash)"')
    if options.multirun and (options.cfg or options.info):
        raise UserError("--cfg and --info show one config: remove --multirun")
    if options.resolve and not (options.cfg or options.help):
        raise UserError("--resolve needs --cfg job")


def _ask_hydra(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Let Hydra answer: its help, and how a config is composed."""
    from rnnexp.launching.engine import engine

    with initialised(options.config_dir), redirect_stdout(io.StringIO()) as answer:
        hydra = engine()
        if options.hydra_help:
            hydra.hydra_help(config_name="train", args_parser=parser, args=options)
        elif options.cfg:
            hydra.show_cfg(
                config_name="train",
                overrides=with_quickstart(options.overrides),
                cfg_type=options.cfg,
                package=options.package,
                resolve=options.resolve,
            )
        else:
            overrides = with_quickstart(options.overrides)
            hydra.show_info(options.info, config_name="train", overrides=overrides)
    say(answer.getvalue(), end="")
    return 0
