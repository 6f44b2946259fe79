"""What is particular to forecasts: baselines, backtest, calibration, signatures, plots."""
