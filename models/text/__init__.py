"""Texts to token ids and back, in the graph, and models of them."""
