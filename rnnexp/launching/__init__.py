"""Plans the jobs of a command line, and runs them with Hydra's launchers."""
