"""The class of a sequence of tokens."""
