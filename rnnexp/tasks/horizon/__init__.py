"""Horizon: predicts the next H values of a time series, with quantiles."""
