"""What can be said of the folders of several runs."""
