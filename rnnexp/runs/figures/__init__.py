"""Figures that are drawn from run folders: those of one run, and learning curves of many."""
