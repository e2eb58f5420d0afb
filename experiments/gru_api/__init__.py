"""What torch.nn.GRU does, statement by statement."""
