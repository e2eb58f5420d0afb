"""The process that a run is in: its random generators, threads, memory and cores."""
