"""Downloads: what there is, how it gets here, what is taken from an archive."""
