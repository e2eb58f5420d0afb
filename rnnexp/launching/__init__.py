"""A command line becomes jobs, started by Hydra's launchers and read from their folders."""
