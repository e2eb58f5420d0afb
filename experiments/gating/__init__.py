"""Vanishing gradients, and how gates preserve them."""
