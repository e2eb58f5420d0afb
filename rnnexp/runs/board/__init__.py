"""TensorBoard: what a run writes for it, and its pages on many runs."""
