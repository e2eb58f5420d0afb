"""The folder of a back-test, and the runs of its folds."""
