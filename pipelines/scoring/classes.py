"""Scores of a classifier class by class, as tables that a terminal can show."""

from collections.abc import Sequence

import numpy as np

from unroll.pipelines.task import Row
from unroll.pipelines.terminal import WORST_FIRST

SHOWN = 12
"""Classes that are shown whole; of more, the worst."""


def class_tables(labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> dict[str, list[Row]]:
    """Precision, recall, F1 and support of each class, and how often it is taken for which other.

    Args:
        labels: int `[records]`, the true class of each.
        predicted: int `[records]`.
        classes: their names.

    Returns:
        By title, a row a class; of more than `SHOWN` classes those with the lowest F1 come first, and in place of the
        matrix the most frequent confusions.

    Example:
        >>> tables = class_tables(np.array([0, 1, 1]), np.array([0, 0, 1]), ["neg", "pos"])
        >>> tables["Classes"][1]
        {'class': 'pos', 'precision': 1.0, 'recall': 0.5, 'f1': 0.6666666666666666, 'support': 2}
        >>> tables["Confusion matrix"][1]
        {'true, predicted': 'pos', 'neg ': 1, 'pos ': 1}
    """
    matrix = np.zeros((len(classes), len(classes)), int)
    np.add.at(matrix, (labels, predicted), 1)
    right, support, answered = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = right / np.maximum(answered, 1), right / np.maximum(support, 1)
    f1 = 2 * right / np.maximum(answered + support, 1)
    rows: list[Row] = [
        {
            "class": name,
            "precision": float(precision[number]),
            "recall": float(recall[number]),
            "f1": float(f1[number]),
            "support": int(support[number]),
        }
        for number, name in enumerate(classes)
    ]
    if len(classes) <= SHOWN:
        # a blank behind the names tells them from the first heading, whatever a class is called
        confusion: list[Row] = [
            {"true, predicted": name, **{f"{other} ": int(matrix[row, column]) for column, other in enumerate(classes)}}
            for row, name in enumerate(classes)
        ]
        return {"Classes": rows, "Confusion matrix": confusion}
    tables = {f"Classes, {WORST_FIRST}": sorted(rows, key=lambda row: row["f1"])}
    wrong = np.argwhere((matrix > 0) & ~np.eye(len(classes), dtype=bool))
    if len(wrong):
        most = wrong[np.argsort(-matrix[tuple(wrong.T)], kind="stable")]
        tables[f"Confusions, {WORST_FIRST}"] = [
            {"true": classes[row], "predicted": classes[column], "records": int(matrix[row, column])}
            for row, column in most
        ]
    return tables
