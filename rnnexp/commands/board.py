"""Open TensorBoard on runs, under names that tell them apart.

It shows all runs below the folders, also those that begin later, until Ctrl-C. The address is that
of this machine alone; --host 0.0.0.0 lets others on the network look as well.
"""

import os
import signal
import tempfile
import time
from pathlib import Path

from rnnexp import console
from rnnexp.commands.shared.options import command_parser
from rnnexp.errors import UserError
from rnnexp.tables import counted

NEW_RUNS_EVERY = 10.0  # seconds
HIGHEST_PORT = 65_535


def main(argv: list[str]) -> int:
    parser = command_parser(__name__, __doc__)
    parser.add_argument(
        "folders", metavar="DIR", type=Path, nargs="*", help="folders with runs; default: outputs"
    )
    parser.add_argument("--port", metavar="N", type=int, help="default: 6006, or the next free one")
    parser.add_argument("--host", metavar="NAME", default="localhost", help="default: localhost")
    arguments = parser.parse_args(argv)
    if arguments.port is not None and not 1 <= arguments.port <= HIGHEST_PORT:
        raise UserError(f"--port {arguments.port}: it must be a number from 1 to {HIGHEST_PORT}")
    folders = arguments.folders or [Path(os.environ.get("RNNEXP_OUTPUTS", "outputs"))]
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise UserError("rnnexp board needs TensorBoard: type pip install tensorboard") from error

    # Late: they import torch, and --help does without.
    from rnnexp.runs.board.pages import Pages
    from rnnexp.runs.board.server import serve

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the links are removed
    with tempfile.TemporaryDirectory(prefix="rnnexp_board_") as place:
        pages = Pages(folders, Path(place))
        address = serve(Path(place), arguments.host, arguments.port)
        count = counted(pages.runs, "run")
        console.show_line(f"look at it   {address}  ({count}; Ctrl-C ends it)")
        try:
            while True:
                time.sleep(NEW_RUNS_EVERY)
                pages.look_again()
        except KeyboardInterrupt:
            return 0
