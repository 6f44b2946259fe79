"""Models of the user's own: an image encoder, `model.encoder`, or all of a captioner, `model.build`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from unroll.models.own_captioner import OwnCaptioner
from unroll.models.tokens import RESERVED, START
from unroll.pipelines.user_code.models import KEY, Trial, build_user_model, try_model
from unroll.pipelines.user_code.objects import UserObject

_ENCODER = (
    "A captioning model's encoder takes pictures, float32 [batch, size, size, 3], 0 to 255, and returns a grid, "
    "float32 [batch, side, side, features]: docs/own.md"
)
_WHOLE = (
    "A captioning model takes pictures, float32 [batch, size, size, 3], 0 to 255, and ids, int32 [batch, time], and "
    "returns logits, float32 [batch, time, vocabulary]; or it is an encoder of pictures and a decoder of memory and "
    "ids: docs/own.md"
)
_ROWS = (2, 3)
_TIMES = (5, 9)
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class PictureInfo:
    """What a captioner must know of the data.

    Args:
        size: pixels of a picture's side.
        vocabulary: ids of the captions' tokens, special ones included.
        max_length: ids of a caption at most, start and end included.
    """

    size: int
    vocabulary: int
    max_length: int


def user_encoder(name: str, section: Any, info: PictureInfo) -> keras.Model:
    """The encoder that the function `name` builds.

    Raises:
        UserError: there is no such function, or what it builds makes no square grid of pictures.
    """
    pictures = _pictures(max(_ROWS), info)
    trials: list[Trial] = [({"pictures": pictures[:rows]}, [rows, None, None, None]) for rows in _ROWS]
    return build_user_model(name, info, section, trials, _ENCODER, _not_square, "model.encoder")


def user_captioner(name: str, section: Any, info: PictureInfo, label_smoothing: float) -> OwnCaptioner:
    """The captioner that the function `name` builds.

    Raises:
        UserError: there is no such function, or what it builds does not say which tokens come next.
    """
    user = UserObject(KEY, name)
    built = user.call(info, section)
    parts = built if isinstance(built, tuple) and len(built) == 2 else (built,)
    if not all(isinstance(part, keras.Model) for part in parts):
        raise user.error(f"returned a {type(built).__name__}, not a keras.Model or two. {_WHOLE}")
    encoder, model = parts if len(parts) == 2 else (None, *parts)
    captioner = OwnCaptioner(
        model, encoder, size=info.size, max_length=info.max_length, label_smoothing=label_smoothing
    )

    def ask(given: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return captioner.decode(captioner.encode(given["pictures"]), given["ids"])

    rows, times = _ROWS[0], [min(time, info.max_length) for time in _TIMES]
    ids = np.random.default_rng(0).integers(RESERVED, info.vocabulary, [rows, times[-1]], np.int32)
    ids[:, 0] = START
    pictures = _pictures(rows, info)
    trials: list[Trial] = [
        ({"pictures": pictures, "ids": ids[:, :time]}, [rows, time, info.vocabulary]) for time in times
    ]
    try_model(user, ask, trials, _WHOLE, _looks_ahead)
    return captioner


def _pictures(rows: int, info: PictureInfo) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, [rows, info.size, info.size, 3]).astype(np.float32)


def _not_square(answers: list[np.ndarray]) -> str | None:
    """The attention is drawn over the picture as a square."""
    height, width = answers[0].shape[1:3]
    return None if height == width else f"whose grid has {height} x {width} positions, which is not a square"


def _looks_ahead(answers: list[np.ndarray]) -> str | None:
    """In training it would read the token that it is to say, and in a search there is none to read."""
    short, long = answers
    if np.allclose(short, long[:, : short.shape[1]], atol=_TOLERANCE):
        return None
    return "whose logits of a token depend on those behind it; let it read from left to right alone"
