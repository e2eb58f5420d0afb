"""From a command line to jobs: planned here, run by Hydra's launchers, read from their folders."""
