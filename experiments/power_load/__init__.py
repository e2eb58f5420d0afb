"""Recurrent networks and baselines on hourly electric load."""
