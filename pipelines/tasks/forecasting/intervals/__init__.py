"""The intervals of a forecast: their calibration, and how often they held."""
