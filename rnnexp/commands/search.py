"""Search for the best hyperparameters, with trials that are chosen by those before them.

space=NAME says which keys are varied: forecasting, classification, or a file of your own,
conf/space/NAME.yaml. A search that was interrupted or killed goes on when the same command is typed
again; typed in a second terminal, it is a second worker. Trials are compared by the monitored
metric on the validation data. docs/scale.md says more.
"""

import importlib.util
import sys

from rnnexp.commands.shared.options import add_config_options, allow, command_parser
from rnnexp.errors import UserError


def main(argv: list[str]) -> int:
    parser = command_parser(__name__, __doc__)
    parser.usage = "rnnexp search space=NAME [options] [group=option ...] [key=value ...]"
    parser.add_argument("words", metavar="space=NAME", nargs="*", help="and what all trials share")
    parser.add_argument(
        "--trials", metavar="N", type=int, default=20, help="of the study, in all (20)"
    )
    parser.add_argument("--study", metavar="NAME", help="its name (experiment_space)")
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="the database of the study (study.db, SQLite, in outputs/search/STUDY)",
    )
    parser.add_argument(
        "--no-pruning", action="store_true", help="train every trial to its last epoch"
    )
    add_config_options(parser)
    options = parser.parse_intermixed_args(argv)
    allow(options.allow)
    if importlib.util.find_spec("optuna") is None:
        raise UserError("rnnexp search needs Optuna: type pip install 'rnnexp[optuna]'")

    # Late: they import torch, and --help does without.
    from rnnexp import console
    from rnnexp.search.worker import Request, search

    return search(
        Request(
            options.words,
            options.trials,
            options.study,
            options.storage,
            not options.no_pruning,
            options.config_dir,
            console.command("rnnexp", *sys.argv[1:]),
        )
    )
