"""Data: from files to batches. A source is read and divided here; what a task makes of it lies in
the folder of the task."""
