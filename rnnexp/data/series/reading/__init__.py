"""From the bytes of a CSV file to times and numbers."""
