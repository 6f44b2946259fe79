"""Forecasts of series, and what they are made of."""
