"""The folder of a run: written, read, hashed, and where its result comes from."""
