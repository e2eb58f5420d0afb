"""Serves TensorBoard's pages."""

import errno
import logging
import socket
from pathlib import Path

from rnnexp.errors import UserError


def serve(folder: Path, host: str, port: int | None) -> str:
    """Serve TensorBoard on a folder from a thread of this process, which ends with it. Returns the
    address.

    port: None for TensorBoard's own, or a free one.

    Raises:
        UserError: it cannot be served at this host and port.
    """
    from tensorboard import program

    _check_free(host, port or 0)
    for name in ("tensorboard", "werkzeug"):
        logging.getLogger(name).setLevel(logging.ERROR)
    board = program.TensorBoard()
    # Its faster reader is a program of its own, which would have to be ended too.
    settings = {"logdir": str(folder), "host": host, "load_fast": "false"}
    board.configure(**settings, **({} if port is None else {"port": port}))
    try:
        return str(board.launch())
    except program.TensorBoardPortInUseError:
        return serve(folder, host, 0)
    except program.TensorBoardServerException as error:
        raise UserError(f"TensorBoard cannot be served at {host}: {error.msg}") from error


def _check_free(host: str, port: int) -> None:
    """Check that a program can listen there. TensorBoard's server would print what is wrong by
    itself, and end the process."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.create_server((host, port), family=family):
            pass
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"--port {port} is taken by another program: choose another one, or omit --port"
            ) from error
        reason = error.strerror or str(error)
        at = f", port {port}" if port else ""
        raise UserError(f"TensorBoard cannot be served at --host {host}{at}: {reason}") from error
