"""What a network does with one text or series, step after step, as a figure and as files."""
