"""Figures of translations."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from unroll.pipelines.scoring import plots  # noqa: F401  # for matplotlib's settings


def alignment_sheet(shown: Sequence[tuple[Sequence[str], Sequence[str], np.ndarray]]) -> Figure:
    """What was looked at for each word that was written, a panel a text.

    Args:
        shown: of each text its subwords, those of its translation, and the weights, float `[translation, text]`.
    """
    count = max(1, len(shown))
    figure = Figure(figsize=(5.5 * min(2, count), 5 * -(-count // 2)), layout="constrained")
    panels = figure.subplots(-(-count // 2), min(2, count), squeeze=False).ravel()
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    for axes, (source, target, weights) in zip(panels, shown, strict=False):
        if not len(source) * len(target):  # nothing was said of it, or nothing said
            axes.set_axis_off()
            continue
        axes.imshow(np.asarray(weights), cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(source)), source, rotation=60, ha="right", fontsize=7)
        axes.set_yticks(range(len(target)), target, fontsize=7)
    return figure
