"""Data: from files to batches. A source is read and split here; the data module of each task, which
makes the batches, is in `rnnexp.tasks`."""
