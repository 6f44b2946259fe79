"""Scores, calibration and plots that tasks share."""
