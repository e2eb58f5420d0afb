"""What a GPU does with rnnexp: repeatability, speed, feed and precision."""
