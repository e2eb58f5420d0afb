"""Word vectors, from files in the formats of GloVe, word2vec and gensim."""
