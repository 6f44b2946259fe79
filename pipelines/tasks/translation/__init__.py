"""A text to what it is in another language."""
