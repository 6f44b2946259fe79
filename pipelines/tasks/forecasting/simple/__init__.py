"""Forecasts in closed form, and how much of them goes into the answer."""
