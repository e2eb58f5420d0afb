"""A week of fourteen columns of two transformers, nothing known but the calendar: does one small
recurrent network reach the published forecasters?"""

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments import fev_bench
from experiments.fev_bench import Figures

EXPERIMENTS = ["ett_gru"]
# fev-bench, task ETT_1H (github.com/autogluon/fev, read in August 2026).
PUBLISHED = [
    Figures("TiRex-2", 0.865, 1.102, "pretrained"),
    Figures("Chronos-2", 0.883, 1.126, "pretrained"),
    Figures("TFT", 0.951, 1.201, "refitted for each window, 8,544 s"),
    Figures("PatchTST", 0.952, 1.199, "refitted for each window, 5,581 s"),
    Figures("DeepAR", 0.992, 1.231, "refitted for each window, 17,849 s"),
    Figures("seasonal naive", 1.207, 1.323, "with intervals"),
    Figures("CatBoost", 1.273, 1.273, "point forecasts"),
    Figures("LightGBM", 1.300, 1.300, "point forecasts"),
]


def main(argv: Sequence[str] | None = None) -> int:
    return fev_bench.main(__doc__ or "", EXPERIMENTS, PUBLISHED, Path(__file__).parent, argv)


if __name__ == "__main__":
    sys.exit(main())
