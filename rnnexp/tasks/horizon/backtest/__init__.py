"""A back-test: the forecasts of a trained network as they would have been issued."""
