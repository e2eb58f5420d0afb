"""The process of a run: random generators, threads, memory and cores."""
