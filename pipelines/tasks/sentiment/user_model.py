"""A classifier of the user's own: `model.build`."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from unroll.models.text.tokenizer import PADDING, RESERVED
from unroll.pipelines.user_code.models import Trial, build_user_model

_CONTRACT = (
    "A sentiment model takes int32 ids [batch, time], padded with 0, and returns logits, float32 [batch, classes], "
    "that padding must not change: docs/sentiment.md"
)
_TOLERANCE = 1e-3
_TIMES = (7, 12)


@dataclass(frozen=True)
class TextInfo:
    """What a classifier must know of the data.

    Args:
        vocabulary: ids, 0 (padding) and 1 (unknown) included.
        classes: number of classes.
        labels: their names, in the order of the logits.
    """

    vocabulary: int
    classes: int
    labels: tuple[str, ...]


def user_classifier(name: str, section: Any, info: TextInfo) -> keras.Model:
    """The model that the function `name` builds.

    Raises:
        UserError: there is no such function, or what it builds is not a classifier of padded ids.
    """
    highest = max(info.vocabulary, RESERVED + 1)
    short = np.random.default_rng(0).integers(RESERVED, highest, [2, _TIMES[0]], np.int32)
    padded = np.pad(short, [[0, 0], [0, _TIMES[1] - _TIMES[0]]], constant_values=PADDING)
    trials: list[Trial] = [({"ids": ids}, [2, info.classes]) for ids in (short, padded)]
    return build_user_model(name, info, section, trials, _CONTRACT, _differs_by_padding)


def _differs_by_padding(answers: list[np.ndarray]) -> str | None:
    """A text would else be answered by how long the others are that are asked with it."""
    if np.allclose(answers[0], answers[1], atol=_TOLERANCE):
        return None
    return (
        "that answers a text differently when more padding stands behind it; mask id 0, by "
        "Embedding(..., mask_zero=True) or by hand"
    )
