"""The fast paths of a cell over time: README.md explains their memory with a drawing."""
