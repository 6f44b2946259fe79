"""Files of labelled texts to batches of token ids."""
