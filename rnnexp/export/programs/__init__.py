"""Programs that `rnnexp export` copies: they need Python, NumPy and onnxruntime alone."""
