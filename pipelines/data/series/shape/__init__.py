"""The shape of a table of series, by its header and first rows: which columns hold times, and whether it is wide."""
