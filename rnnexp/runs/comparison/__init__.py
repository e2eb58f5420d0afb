"""Compares runs: leaderboard, statistics, repetition to the bit."""
