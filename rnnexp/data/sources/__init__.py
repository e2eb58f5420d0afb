"""Sources of data: a class for every option of the config group `data`."""
