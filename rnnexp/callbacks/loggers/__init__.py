"""Loggers of other programs, which write into the run folder and reach no server."""
