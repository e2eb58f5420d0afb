"""The next value of a time series."""
