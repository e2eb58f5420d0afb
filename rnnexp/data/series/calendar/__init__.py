"""Time as series have it: the frequency of steps, the clock of a zone, and the issue times."""
