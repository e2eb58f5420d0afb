"""Tomorrow's electric load, hour by hour."""
