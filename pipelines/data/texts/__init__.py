"""Texts to ids: subwords, words\x27 vectors, shards."""
