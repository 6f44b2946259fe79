"""Fits of the effects of covariates, the calendar and categories on what a linear map of the history leaves."""
