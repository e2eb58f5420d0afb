"""From items to batches: samplers, loaders, and the data module that a task is fed by."""
