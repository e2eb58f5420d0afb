"""Documents: readers of reviews and names, tokenisation, vocabularies, n-grams and splits."""
