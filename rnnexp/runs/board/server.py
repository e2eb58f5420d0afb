"""Serves TensorBoard's pages."""

import logging
from pathlib import Path

from rnnexp.errors import UserError


def serve(folder: Path, host: str, port: int | None) -> str:
    """Serve TensorBoard on a folder from a thread of this process, which ends with it. Returns the
    address.

    port: None for TensorBoard's own, or the next free one.

    Raises:
        UserError: it cannot be served at this host and port.
    """
    from tensorboard import program

    for name in ("tensorboard", "werkzeug"):
        logging.getLogger(name).setLevel(logging.ERROR)
    board = program.TensorBoard()
    # Its other reader is a program of its own, which knows fewer pages.
    settings = {"logdir": str(folder), "host": host, "load_fast": "false"}
    board.configure(**settings, **({} if port is None else {"port": port}))
    try:
        return str(board.launch())
    except program.TensorBoardPortInUseError as error:
        if port is not None:
            raise UserError(
                f"--port {port} is taken by another program: choose another one, or omit --port"
            ) from error
        return serve(folder, host, 0)
    except (program.TensorBoardServerException, OSError) as error:
        reason = getattr(error, "msg", error)
        raise UserError(f"TensorBoard cannot be served at {host}, port {port}: {reason}") from error
