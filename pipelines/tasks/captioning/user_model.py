"""An image encoder of the user's own: `model.build`."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from unroll.pipelines.user_code.models import Trial, build_user_model

_CONTRACT = (
    "A captioning model's encoder takes pictures, float32 [batch, size, size, 3], 0 to 255, and returns a grid, "
    "float32 [batch, side, side, features]: docs/captioning.md"
)
_ROWS = (2, 3)


@dataclass(frozen=True)
class PictureInfo:
    """What an encoder must know of the data.

    Args:
        size: pixels of a picture's side.
        vocabulary: ids of the captions' tokens, special ones included.
    """

    size: int
    vocabulary: int


def user_encoder(name: str, section: Any, info: PictureInfo) -> keras.Model:
    """The encoder that the function `name` builds.

    Raises:
        UserError: there is no such function, or what it builds does not make a square grid of pictures.
    """
    shape = [info.size, info.size, 3]
    pictures = np.random.default_rng(0).uniform(0, 255, [max(_ROWS), *shape]).astype(np.float32)
    trials: list[Trial] = [({"pictures": pictures[:rows]}, [rows, None, None, None]) for rows in _ROWS]
    return build_user_model(name, info, section, trials, _CONTRACT, _not_square)


def _not_square(answers: list[np.ndarray]) -> str | None:
    """The attention is drawn over the picture as a square."""
    height, width = answers[0].shape[1:3]
    return None if height == width else f"whose grid has {height} x {width} positions, which is not a square"
