"""What each system's answers to a set's test part are worth: the same code for all."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from sacrebleu.metrics import BLEU

from benchmarks.untuned import series_windows
from benchmarks.untuned.series_sets import SETS

_SMALLEST = 1e-6  # probability that is counted of a true class


def scores(task: str, name: str, table: Path, answers: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Metrics by name.

    Args:
        task: of Unroll.
        name: of the set.
        table: with its records.
        answers: as `ours.answers` gives them.
    """
    if task == "forecasting":
        one = SETS[name]
        return series_windows.scores(series_windows.read(table, one), one, answers["points"], answers.get("quantiles"))
    records = read(table)
    test = records[records.split == "test"]
    if task == "sentiment":
        return _classification(test.label.astype(str).tolist(), answers["classes"].tolist(), answers["probabilities"])
    return _captions([_words(one) for one in test.caption], [_words(one) for one in answers["captions"]])


def read(table: Path) -> pd.DataFrame:
    """The records of a set of texts or pictures."""
    return pd.read_csv(table, keep_default_na=False) if table.suffix == ".csv" else pd.read_parquet(table)


def _classification(truth: list[str], classes: list[str], probabilities: np.ndarray) -> dict[str, float]:
    places = {one: place for place, one in enumerate(classes)}
    given = [row[places[label]] if label in places else 0.0 for label, row in zip(truth, probabilities, strict=True)]
    right = [classes[place] == label for label, place in zip(truth, probabilities.argmax(axis=1), strict=True)]
    return {"accuracy": float(np.mean(right)), "log_loss": float(-np.log(np.maximum(given, _SMALLEST)).mean())}


def _captions(truth: list[str], captions: list[str]) -> dict[str, float]:
    return {
        "exact_match": float(np.mean([one == other for one, other in zip(truth, captions, strict=True)])),
        # up to the longest n that captions have: of three words each, BLEU-4 is 0 also where all are right
        "bleu": BLEU(effective_order=True).corpus_score(captions, [truth]).score,
    }


def _words(caption: str) -> str:
    """Without case and marks, which systems write in ways of their own."""
    return " ".join(re.findall(r"\w+", caption.lower()))
