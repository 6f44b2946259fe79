"""Labelled texts: sentiment, or any other class of a text."""
