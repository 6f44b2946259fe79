"""Cells of a column of times, before it is told in which form they are written."""
