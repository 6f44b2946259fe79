"""What covariates, the calendar and categories add to a linear map of the history, in closed form."""
