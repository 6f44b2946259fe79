"""Captioned pictures as data files of every kind have them."""
