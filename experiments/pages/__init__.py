"""Pictures of the pages that rnnexp writes or opens, to look at."""
