"""Time series: read from CSV files, cleaned, split by time, and laid end to end."""
