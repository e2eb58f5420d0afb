"""Speed and accuracy of one short experiment in other precisions."""

import time
from collections.abc import Iterator

import rnnexp
from experiments.gpu.part import Row
from rnnexp.runs.folder.reading import read_run

TRAINING = [
    *("experiment=quickstart", "data/chunking=running_basis", "data.batch_size=1024"),
    *("model.hidden_size=256", "trainer.max_epochs=2", "optimizer.lr=0.005"),
    *("callbacks.progress_bar=null", "callbacks.figures=null"),
]
TINY = ["data.number=1", "data.days=60", "model.hidden_size=4", "trainer.max_epochs=1"]
TINY += ["trainer.limit_train_batches=2", "data.batch_size=16", "determinism.threads=1"]
PRECISIONS = {
    "float32": [],
    "bf16-mixed": ["trainer.precision=bf16-mixed"],
    "matmul_precision=high": ["determinism.matmul_precision=high"],
}
MODELS = {
    "torch.nn.GRU": ["model=gru"],
    "pmgru, plain": ["model.recurrence.path=plain"],
    "pmgru, graphed": ["model.recurrence.path=graphed"],
}


def measure(dry: bool, seconds: float) -> Iterator[Row]:
    """Every model in every precision; the first training, which loads the kernels, is repeated."""
    place = [*TINY, "trainer=cpu"] if dry else ["trainer=gpu", "determinism.threads=4"]
    models = dict(list(MODELS.items())[:1]) if dry else MODELS
    start = time.monotonic()
    if not dry:
        rnnexp.run([*TRAINING, *place, "trainer.max_epochs=1", "model=gru", "name=warm_up"])
    for model, chosen in models.items():
        before: float | None = None
        for precision, words in PRECISIONS.items():
            if time.monotonic() - start > seconds:
                yield {"model": model, "precision": precision, "path": "not reached"}
                continue
            run = rnnexp.run([*TRAINING, *chosen, *words, *place])
            record = read_run(run.folder)
            took = float(record["seconds"]["train"])
            before = took if before is None else before
            yield {
                "model": model,
                "precision": precision,
                "path": record.get("path"),
                "training, s": took,
                "of float32": took / before,
                "test/smape": run.metrics["test/smape"],
            }
