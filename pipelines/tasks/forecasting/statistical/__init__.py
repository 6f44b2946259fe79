"""What statistics forecast without learning from other series: ETS and ARIMA, fitted to each history alone."""
