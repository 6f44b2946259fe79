"""What statistics forecasts without learning from other series: exponential smoothing, fitted to each history alone."""
