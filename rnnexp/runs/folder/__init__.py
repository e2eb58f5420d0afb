"""Run folders: writing, reading, hashing and provenance."""
