"""The networks that predict the next H values of a time series."""
