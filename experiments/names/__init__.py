"""The lecture's char RNN on last names, and networks that do better."""
