"""Parts of sequence models: Keras layers."""
