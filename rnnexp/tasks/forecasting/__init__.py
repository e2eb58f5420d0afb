"""Forecasting: predicts the next value of a time series."""
