"""Compares runs: leaderboard, statistics, difference of two, repetition to the bit."""
