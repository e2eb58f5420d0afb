"""Classification: predicts the class of a sequence of tokens."""
