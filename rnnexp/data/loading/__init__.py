"""Samplers, the batch loader, and the base class of the data modules."""
