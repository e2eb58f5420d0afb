"""Weights of the lecture's networks: their state dicts, translated from and into ours.

`load_published` fills one of our networks, `to_published` writes its weights under DLStudio's
names, and `literal` gives the literal network that computes the same.
"""
