"""Pictures of what a model makes of a text: each unit on a colour of its own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_WIDTH = 100  # characters of a line
_HEIGHT, _SIZE = 0.19, 7.5  # inches of a line, points of its letters
_PALE = 0.75  # so that letters can be read on any colour
_MOST = 6.0  # nats, from which colours are alike
_SIGNS = {"\n": "↵", "\t": "→"}


def surprise_map(units: Sequence[str], nats: np.ndarray) -> Figure:
    """A text on the colours of how little each unit was expected.

    Args:
        units: their texts.
        nats: float `[units]`.
    """
    figure, (axes,) = _panels(1, len(_lines(units, nats)))
    image = _draw(axes, units, nats, "Surprise", cmap="OrRd", vmin=0, vmax=_MOST)
    figure.colorbar(image, ax=axes, label="nats", shrink=0.6)
    return figure


def activity_map(units: Sequence[str], activity: np.ndarray, names: Sequence[str]) -> Figure:
    """A text on the colours of what features of a model are after each unit (Karpathy et al. 2015, arXiv:1506.02078).

    Args:
        units: their texts.
        activity: float `[units, features]`.
        names: of the features.
    """
    figure, panels = _panels(len(names), len(_lines(units, activity[:, 0])))
    for axes, name, values in zip(panels, names, activity.T, strict=True):
        most = float(np.abs(values).max()) or 1.0
        _draw(axes, units, values, name, cmap="RdBu_r", vmin=-most, vmax=most)
    return figure


def _panels(count: int, lines: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(10, count * (0.6 + _HEIGHT * lines)), layout="constrained")
    return figure, list(figure.subplots(count, 1, squeeze=False)[:, 0])


def _draw(axes: Axes, units: Sequence[str], values: np.ndarray, title: str, **colours: Any) -> Any:
    lines = _lines(units, values)
    shades = [[value for _, value in line] + [float("nan")] * (_WIDTH - len(line)) for line in lines]
    image = axes.imshow(shades, aspect="auto", interpolation="none", alpha=_PALE, **colours)
    for y, line in enumerate(lines):
        for x, (sign, _) in enumerate(line):
            if sign.strip():
                letter = sign.replace("$", r"\$")
                axes.text(x, y, letter, size=_SIZE, family="monospace", ha="center", va="center")
    axes.set(xticks=[], yticks=[], title=title)
    axes.spines[:].set_visible(False)
    return image


def _lines(units: Sequence[str], values: np.ndarray) -> list[list[tuple[str, float]]]:
    """Characters with the values of their units."""
    lines: list[list[tuple[str, float]]] = [[]]
    for unit, value in zip(units, values, strict=True):
        for sign in unit:
            lines[-1].append((_SIGNS.get(sign, sign), float(value)))
            if sign == "\n" or len(lines[-1]) == _WIDTH:
                lines.append([])
    return lines if lines[-1] or len(lines) == 1 else lines[:-1]
