"""The native path: the loop over the steps of a block in C++, compiled on first use."""
