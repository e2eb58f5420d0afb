"""Callbacks: what watches a run."""
