"""Forecasts of one or many time series."""
