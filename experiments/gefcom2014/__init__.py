"""Forecasts of a week of electric load, beside published ones."""
