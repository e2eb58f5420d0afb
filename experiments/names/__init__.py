"""The lecture's char RNN and better networks on last names."""
