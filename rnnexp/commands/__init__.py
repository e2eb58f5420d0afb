"""The subcommands: `rnnexp NAME` is `main` of the file of this name, and the first line of its
docstring is what `rnnexp --help` says of it. Files with an underscore are what commands share."""
