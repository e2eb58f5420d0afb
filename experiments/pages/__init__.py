"""Pictures of the pages that rnnexp writes, to look at."""
