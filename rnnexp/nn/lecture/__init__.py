"""The networks of the lecture: their state dicts, translated from and into ours."""
