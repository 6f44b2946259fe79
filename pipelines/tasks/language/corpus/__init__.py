"""A corpus: files, documents and splits, ids, streams."""
