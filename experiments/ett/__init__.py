"""Forecasts of a week of two transformers, beside published ones."""
