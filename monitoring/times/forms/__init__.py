"""The forms in which times are written: which there are, which a column has, and reading each."""
