"""Data: one file per source, and the small pieces that turn a source into batches."""
