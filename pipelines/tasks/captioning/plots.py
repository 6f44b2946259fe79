"""Figures of pictures, their captions and what the model looked at."""

import io
import textwrap
import unicodedata
import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from PIL import Image

from unroll.picture_header import orientation

_EACH = 4  # pictures a row of a contact sheet
_COLUMNS = 8  # of attention maps
_MAX_LINES = 6  # of a caption
_MAX_SIDE = 512  # pixels of a picture in a figure
_WHITE = 255
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,  # counterclockwise
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF's orientation
_FONTS = [
    "DejaVu Sans",
    *sorted(name for name in font_manager.get_font_names() if name.startswith(("Noto Sans CJK", "Noto Emoji"))),
]
# a character that no font has is drawn as a box, which says it all
warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)

Attention = tuple[np.ndarray, Sequence[str], np.ndarray]
"""Picture, tokens and maps, as `attention_maps` takes them."""


def open_picture(encoded: bytes) -> np.ndarray:
    """A picture to draw: uint8 `[H, W, 3]`, upright and on white as the model sees it, no side longer than 512 pixels.

    Args:
        encoded: bytes of a file that the model takes.
    """
    with Image.open(io.BytesIO(encoded)) as file:
        file.draft("RGB", (_MAX_SIDE, _MAX_SIDE))  # a JPEG need not be decoded whole
        picture = file.convert("RGBA")
    picture.thumbnail((_MAX_SIDE, _MAX_SIDE))
    if turn := _TURNS.get(orientation(encoded)):
        picture = picture.transpose(turn)
    return np.asarray(Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB"))


def contact_sheet(
    pictures: Sequence[np.ndarray],
    references: Sequence[Sequence[str]],
    generated: Sequence[str],
    scores: Sequence[float] | np.ndarray,
) -> Figure:
    """The best, the median and the worst captions by score, four each; fewer of fewer than twelve pictures.

    Args:
        pictures: at least one, uint8 `[H, W, 3]` of any size.
        references: captions that people gave each picture; the first is shown.
        generated: caption of each picture.
        scores: of each caption, more is better.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    each = min(_EACH, len(order) // 3)
    middle = (len(order) - each) // 2
    rows = {"best": order[:each], "median": order[middle : middle + each], "worst": order[len(order) - each :]}
    if not each:
        each, rows = len(order), {"best to worst": order}
    figure = Figure(figsize=(max(4.0, 2.8 * each), 3.6 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), each, squeeze=False)
    for line, (name, chosen) in zip(panels, rows.items(), strict=True):
        line[0].set_ylabel(name, fontsize=11)
        for axes, row in zip(line, chosen, strict=True):
            _show(axes, pictures[row])
            axes.set_title(f"{scores[row]:.3f}", fontsize=8)
            _write(axes, _wrapped(generated[row]), _wrapped(f"reference: {references[row][0]}"))
    return figure


def captioned(pictures: Sequence[np.ndarray], captions: Sequence[str]) -> Figure:
    """Pictures, uint8 `[H, W, 3]`, with their captions beneath."""
    columns = min(_EACH, len(pictures))
    rows = -(-len(pictures) // columns)
    figure = Figure(figsize=(max(4.0, 2.8 * columns), 3.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes, picture, caption in zip(panels, pictures, captions, strict=False):
        _show(axes, picture)
        _write(axes, _wrapped(caption))
    for unused in panels[len(pictures) :]:
        unused.set_visible(False)
    return figure


def attention_maps(picture: np.ndarray, tokens: Sequence[str], maps: np.ndarray) -> Figure:
    """Where the model looked for each word: bright where the weight is, each map scaled to its own largest weight.

    Args:
        picture: uint8 `[H, W, 3]`. It is letterboxed to a square on white, as the model sees it.
        tokens: T words; empty ones, after the caption's end, are left out.
        maps: float `[T, g, g]`, weights of the grid's cells.
    """
    return attention_sheet([(picture, tokens, maps)])


def attention_sheet(shown: Sequence[Attention]) -> Figure:
    """`attention_maps` of several pictures, one beneath the other."""
    heights = [_rows(tokens) for _, tokens, _ in shown]
    figure = Figure(figsize=(1.7 * _COLUMNS, 2.0 * sum(heights)), layout="constrained")
    parts = figure.subfigures(len(shown), 1, height_ratios=heights, squeeze=False).ravel()
    for part, (picture, tokens, maps) in zip(parts, shown, strict=True):
        _draw_attention(part, _letterboxed(picture), tokens, maps)
    return figure


def _rows(tokens: Sequence[str]) -> int:
    return -(-(1 + sum(map(bool, tokens))) // _COLUMNS)


def _draw_attention(figure: FigureBase, square: np.ndarray, tokens: Sequence[str], maps: np.ndarray) -> None:
    panels = figure.subplots(_rows(tokens), _COLUMNS, squeeze=False).ravel().tolist()
    side = len(square)
    said = [(token, weights) for token, weights in zip(tokens, maps, strict=True) if token]
    for axes in panels[: 1 + len(said)]:
        _show(axes, square)
    for axes, (token, weights) in zip(panels[1:], said, strict=False):
        axes.set_title(_wrapped(token, width=16), fontsize=9, parse_math=False, fontfamily=_FONTS)
        # the darkness hides what was not looked at; a map's cells cover the square
        shade = 1 - weights / max(weights.max(), np.finfo(np.float32).tiny)
        axes.imshow(np.zeros((side, side)), cmap="gray", alpha=0.85 * _enlarged(shade, side))
    for unused in panels[1 + len(said) :]:
        unused.set_visible(False)


def _show(axes: Axes, picture: np.ndarray) -> None:
    axes.imshow(picture)
    axes.set_xticks([])
    axes.set_yticks([])


def _write(axes: Axes, *texts: str) -> None:
    # captions are not formulas: `$` stays `$`
    axes.set_xlabel("\n".join(texts), fontsize=8, parse_math=False, fontfamily=_FONTS)


def _wrapped(text: str, width: int = 36) -> str:
    """A text in lines of so many letters, or half as many where it has wide ones."""
    if any(unicodedata.east_asian_width(letter) in "WF" for letter in text):
        width //= 2
    return "\n".join(textwrap.wrap(text, width, max_lines=_MAX_LINES, placeholder=" …"))


def _letterboxed(picture: np.ndarray) -> np.ndarray:
    """The picture in the middle of a white square, uint8 `[S, S, 3]`."""
    height, width = picture.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.full((side, side, 3), _WHITE, np.uint8)
    square[top : top + height, left : left + width] = picture
    return square


def _enlarged(shade: np.ndarray, side: int) -> np.ndarray:
    """A map on the picture's pixels, float `[side, side]`, 0 to 1."""
    small = Image.fromarray(shade.astype(np.float32))
    return np.clip(np.asarray(small.resize((side, side), Image.Resampling.BICUBIC)), 0, 1)
