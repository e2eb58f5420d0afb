"""Documents: files of reviews and names, tokens, vocabularies, n-grams and splits."""
