"""One network after another on hourly electric load."""
