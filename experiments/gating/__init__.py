"""Where gradients vanish, and what gates do about it."""
