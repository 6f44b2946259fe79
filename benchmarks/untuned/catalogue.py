"""The sets of each task, and the systems that are measured on them, the quickest first."""

from benchmarks.untuned import picture_sets, series_sets, text_sets
from benchmarks.untuned.rows import OURS

SETS = {
    "forecasting": tuple(series_sets.SETS),
    "sentiment": tuple(text_sets.SETS),
    "captioning": tuple(picture_sets.SETS),
}
SUFFIX = {"forecasting": ".csv", "sentiment": ".csv", "captioning": ".parquet"}
METHODS = {
    "forecasting": ["last value", "seasonal naive", "ridge", "ETS", OURS, "AutoARIMA"],
    "sentiment": ["TF-IDF, logistic regression", "nearest text", OURS],
    "captioning": ["nearest picture", OURS],
}
"""Names as `series_methods.METHODS` and `record_methods.METHODS` have them."""
