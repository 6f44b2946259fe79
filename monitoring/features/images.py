"""A picture as a handful of numbers, without decoding more of it than they take."""

import io
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from unroll.monitoring.features.sources import OfInput, Tensors, scalars
from unroll.picture_header import image_size, orientation

SIDE = 64
"""Pixels of the longer side at which colours are measured; a JPEG is not decoded much finer."""
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
_NAMES = ("megapixels", "aspect", "bytes_per_pixel", "brightness", "contrast", "warmth", "colourfulness")


@dataclass(frozen=True)
class ImageFeature(OfInput):
    """An encoded picture: its size, how strongly it is compressed, its light and its colours.

    Args:
        input: name of the input tensor of encoded pictures, strings of shape `(records,)` or `(records, 1)`.
        most_pixels: a larger picture is not decoded; its light and colours are NaN.

    Example:
        >>> ImageFeature("image").measure({"image": np.array([b"not a picture"])}, {}, {})["image/megapixels"]
        array([nan], dtype=float32)
    """

    kind: ClassVar[str] = "image"
    most_pixels: int = 1 << 25

    def measure(self, inputs: Tensors, outputs: Tensors, vocabulary: Mapping[str, int]) -> dict[str, np.ndarray]:
        """Values of each picture, float32 `(n,)`, NaN where it cannot be read; of an animation the first frame.

        `megapixels` and `aspect` (width by height, of the picture turned upright) as the file's header has them,
        `bytes_per_pixel` as encoded.
        At `SIDE` pixels and on white where it is transparent: `brightness` and `contrast`, mean and standard
        deviation of the luma, 0 to 1; `warmth`, mean of red less blue, -1 to 1; `colourfulness`, see `colourfulness`.

        Raises:
            ValueError: more than one value a record.
        """
        values = measure(scalars(self.input, inputs).tolist(), self.most_pixels)
        return {f"{self.input}/{name}": values[:, column] for column, name in enumerate(_NAMES)}


def measure(pictures: Iterable[bytes], most_pixels: int) -> np.ndarray:
    """The values of each of n encoded pictures, float32 `(n, 7)`; see `ImageFeature.measure`."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # of odd headers, and of sizes, which are looked at here
        rows = [_measure(picture, most_pixels) for picture in pictures]
    return np.array(rows, np.float32).reshape(-1, len(_NAMES))


def colourfulness(pixels: np.ndarray) -> float:
    """How colourful a picture looks: 0 grey, 15 slightly, 33 moderately, 59 quite, 109 extremely.

    Hasler and Suesstrunk 2003, Measuring colourfulness in natural images, equations 6 to 8:

        rg = R - G,  yb = (R + G) / 2 - B
        M = sqrt(var(rg) + var(yb)) + 0.3 sqrt(mean(rg)**2 + mean(yb)**2)

    Args:
        pixels: `(..., 3)`, sRGB, 0 to 255.
    """
    red, green, blue = (pixels[..., channel].astype(np.float64) for channel in range(3))
    opposed = red - green, (red + green) / 2 - blue
    spread = np.sqrt(sum(values.var() for values in opposed))
    return float(spread + 0.3 * np.sqrt(sum(values.mean() ** 2 for values in opposed)))


def _measure(picture: bytes, most_pixels: int) -> list[float]:
    from PIL import Image

    values = [np.nan] * len(_NAMES)
    width, height = image_size(picture) or (0, 0)
    if not (count := width * height):
        return values
    values[:3] = count / 1e6, width / height if orientation(picture) < 5 else height / width, len(picture) / count
    if count > most_pixels:
        return values
    # A damaged file may raise nearly anything from its decoder; it is a strange picture, not an error of ours.
    try:
        with Image.open(io.BytesIO(picture), formats=_FORMATS) as image:
            pixels = np.asarray(_small(image), np.float64)
    except Exception:
        return values
    luma = pixels @ [0.299, 0.587, 0.114] / 255
    warmth = (pixels[..., 0] - pixels[..., 2]).mean() / 255
    values[3:] = luma.mean(), luma.std(), warmth, colourfulness(pixels)
    return values


def _small(image: Any) -> Any:
    """The picture in RGB on white, at most `SIDE` pixels a side."""
    from PIL import Image

    image.draft("RGB", (SIDE, SIDE))  # a JPEG is decoded at 1/2, 1/4 or 1/8; no other format has that
    if image.mode.startswith("I"):  # 16 bits of grey
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    if image.mode == "RGB":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
