"""Runs: train from a config, record in a folder, load again, and compare."""
