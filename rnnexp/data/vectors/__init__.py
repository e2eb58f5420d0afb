"""Word vectors from files of GloVe, word2vec, fastText and gensim."""
