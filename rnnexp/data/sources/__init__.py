"""Data sources: one class for every option of the config group `data`."""
