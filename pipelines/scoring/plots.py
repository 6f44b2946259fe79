"""Figures of training runs and classifiers."""

import warnings
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from unroll.pipelines.scoring.calibration import reliability

matplotlib.use("Agg")
# Names in a script that the font lacks are drawn as boxes; the tables beside the figure have them.
warnings.filterwarnings("ignore", message="Glyph .* missing from font")


def learning_curve(epochs: Sequence[Mapping[str, float]], best: int, metric: str = "loss") -> Figure:
    """A metric by epoch on the training and the validation split; the epoch at index `best` is marked."""
    figure, axes = new_axes("epoch", metric, "Learning curve")
    numbers = [epoch.get("epoch", index) for index, epoch in enumerate(epochs, 1)]
    for split in ("train", "validation"):
        axes.plot(numbers, [epoch[f"{split}/{metric}"] for epoch in epochs], marker="o", label=split)
    axes.axvline(numbers[best], color="grey", linestyle=":", label="kept")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> Figure:
    """Records by true and predicted class, int `[records]` both; at most 20 classes are named."""
    matrix = np.zeros((len(classes), len(classes)), int)
    np.add.at(matrix, (labels, predicted), 1)
    figure, axes = new_axes("predicted", "true", "Confusion matrix")
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= 20:
        axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
        axes.set_yticks(range(len(classes)), classes)
        for (row, column), count in np.ndenumerate(matrix):
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour)
    return figure


def calibration(labels: np.ndarray, probabilities: np.ndarray) -> Figure:
    """Accuracy by confidence; a calibrated model is on the diagonal. Shapes `[records]`, `[records, classes]`."""
    confidence, accuracy, count = reliability(labels, probabilities)
    figure, axes = new_axes("confidence", "accuracy", "Calibration")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.plot(confidence, accuracy, marker="o")
    for x, y, records in zip(confidence, accuracy, count, strict=True):
        axes.annotate(str(records), (x, y), textcoords="offset points", xytext=(4, -10), fontsize=7)
    axes.set_xlim(confidence.min() - 0.05, 1.02)
    axes.set_ylim(0, 1.02)
    return figure


def gradient_by_timestep(norms: Sequence[np.ndarray]) -> Figure:
    """Norm of the loss's gradient with respect to each input timestep, seen from the sequence's end.

    A line that falls steeply to the left is a gradient that vanishes before it reaches early timesteps.

    Args:
        norms: for each record, float `[timesteps]`.
    """
    longest = max(map(len, norms))
    from_end = np.full((len(norms), longest), np.nan)
    for row, norm in zip(from_end, norms, strict=True):
        row[longest - len(norm) :] = norm
    held = np.isfinite(from_end).sum(axis=0) >= max(1, len(norms) // 10)
    figure, axes = new_axes("timesteps before the end", "median gradient norm", "Gradient by timestep")
    axes.plot(np.arange(1 - longest, 1)[held], np.maximum(np.nanmedian(from_end[:, held], axis=0), 1e-12))
    axes.set_yscale("log")
    return figure


def new_axes(x: str, y: str, title: str) -> tuple[Figure, Axes]:
    """A figure of one panel with its labels."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title)
    return figure, axes
