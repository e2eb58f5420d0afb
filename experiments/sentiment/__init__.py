"""The lecture's networks on product reviews, and networks that learn."""
