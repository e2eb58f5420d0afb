"""The files in the folder `checkpoints` of a run."""

BEST = "best.ckpt"  # by the monitored metric
LAST = "last.ckpt"  # from which the run goes on
PREVIOUS = "previous.ckpt"  # the last but one, until the run is complete
NEXT = "next.ckpt"  # the next last one, for a moment
