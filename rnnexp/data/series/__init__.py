"""Time series: reading from CSV files, cleaning, splitting by time, and windows."""
