"""A week of electric load, the temperature known: do small recurrent networks reach the published
forecasters?"""

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments import fev_bench
from experiments.fev_bench import Figures

EXPERIMENTS = ["gefcom2014_gru", "gefcom2014_pmgru"]
# fev-bench, task proenfo_gfc14 (github.com/autogluon/fev, read in August 2026).
PUBLISHED = [
    Figures("TiRex-2", 0.368, 0.469, "pretrained"),
    Figures("DeepAR", 0.392, 0.493, "refitted for each window, 23,581 s"),
    Figures("TFT", 0.399, 0.489, "refitted for each window, 9,333 s"),
    Figures("Chronos-2", 0.430, 0.539, "pretrained"),
    Figures("PatchTST", 0.540, 0.666, "refitted for each window, 7,439 s"),
    Figures("CatBoost", 0.602, 0.602, "point forecasts"),
    Figures("LightGBM", 0.691, 0.691, "point forecasts"),
    Figures("seasonal naive", 1.075, 1.199, "with intervals"),
]


def main(argv: Sequence[str] | None = None) -> int:
    return fev_bench.main(__doc__ or "", EXPERIMENTS, PUBLISHED, Path(__file__).parent, argv)


if __name__ == "__main__":
    sys.exit(main())
