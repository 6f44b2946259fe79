"""Sequences to sequences: texts of one language to texts of another."""
