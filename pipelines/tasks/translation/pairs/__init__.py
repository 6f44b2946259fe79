"""Pairs of texts: files, what is left out, splits, ids, batches."""
