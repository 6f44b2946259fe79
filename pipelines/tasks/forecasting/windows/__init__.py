"""Windows of the series as the forecaster, and the reference profile, are given them."""
