"""One run, from a config to its folder, and what can be said of the folders of many."""
