"""Studies. The package rnnexp never imports from here."""
