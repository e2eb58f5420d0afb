"""Export the network of a run as ONNX, with a program that predicts without torch.

DIR/export gets model.onnx, predict.py, and the vocabulary or the scaler: see docs/export.md.
"""

import importlib.util
from pathlib import Path

from rnnexp import console
from rnnexp.commands.shared.options import allow, folder_parser
from rnnexp.errors import UserError
from rnnexp.process.memory import enough_memory

NEEDED = ("onnx", "onnxruntime")


def main(argv: list[str]) -> int:
    parser = folder_parser(__name__, __doc__)
    arguments = parser.parse_args(argv)
    allow(arguments.allow)
    with enough_memory():
        return export(arguments.folder)


def export(folder: Path) -> int:
    """Write DIR/export, of the run's best checkpoint, after it was compared with the network in
    torch. Returns the exit code.

    Raises:
        UserError: the run is not completed, its network cannot be exported, or a package is
            missing.
        RunFailed: the exported network differs from the one in torch.
    """
    for package in NEEDED:
        if importlib.util.find_spec(package) is None:
            raise UserError(
                f"rnnexp export needs {package}, which is not installed: type "
                "pip install 'rnnexp[onnx]'"
            )
    # Late: they import torch, and --help does without.
    from rnnexp.export.folder import write_export
    from rnnexp.runs.loading import load

    run = load(folder)
    if (status := run.record.get("status")) != "completed":
        raise UserError(
            f"{folder} has the status {status!r}: it is not a completed run, finish it with "
            f"{console.command('rnnexp', 'resume', folder)}"
        )
    written = write_export(run)
    found = written.comparison
    left_out = f" ({found.left_out:,} more were left out: see docs/export.md)"
    console.show(
        f"{found.inputs:,} inputs gave the same in onnxruntime as in torch, up to a difference of "
        f"{found.difference:.1e}{left_out if found.left_out else ''}",
        f"model.onnx has {written.size:,} bytes; exported in {written.seconds:.1f} s to",
    )
    console.show_line(str(written.folder))
    if written.lacking is not None:
        console.show(f"predict.py refuses to predict: it does not support {written.lacking}")
    return 0
