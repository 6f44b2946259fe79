"""Pictures of what a model of text makes of it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

_WIDTH = 100  # characters of a line
_HEIGHT, _SIZE = 0.19, 7.5  # inches of a line, points of its letters
_MOST = 6.0  # nats, from which colours are alike
_SIGNS = {"\n": "↵", "\t": "→"}


def surprise_map(units: Sequence[str], nats: np.ndarray) -> Figure:
    """A text, each unit on the colour of how little it was expected.

    Args:
        units: their texts.
        nats: of each.
    """
    cells = [(sign, value) for unit, value in zip(units, nats, strict=True) for sign in unit]
    lines: list[list[tuple[str, float]]] = [[]]
    for sign, value in cells:
        lines[-1].append((_SIGNS.get(sign, sign), value))
        if sign == "\n" or len(lines[-1]) == _WIDTH:
            lines.append([])
    figure = Figure(figsize=(10, 0.8 + _HEIGHT * len(lines)), layout="constrained")
    axes = figure.add_subplot()
    shades = [[value for _, value in line] + [float("nan")] * (_WIDTH - len(line)) for line in lines]
    image = axes.imshow(shades, cmap="OrRd", vmin=0, vmax=_MOST, aspect="auto", interpolation="none")
    for y, line in enumerate(lines):
        for x, (sign, _) in enumerate(line):
            if sign.strip():
                axes.text(x, y, sign.replace("$", r"\$"), size=_SIZE, family="monospace", ha="center", va="center")
    axes.set(xticks=[], yticks=[], title="Surprise")
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label="nats", shrink=0.6)
    return figure
