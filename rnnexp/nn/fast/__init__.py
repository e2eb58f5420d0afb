"""Fast paths: the same results as `rnnexp.nn.plain` in less time. README.md explains how."""
