"""Figures of captions, by what is drawn on them."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from unroll.pipelines.tasks.captioning.plots import (
    attention_maps,
    attention_sheet,
    captioned,
    contact_sheet,
    open_picture,
)

ODD = [
    "costs $5 or $6",
    r"a $\frac{1}{0$ _^",
    "“quoted” 'and' \"so\"",
    "日本語の説明文" * 9,
    "😀 a face 👩🏽‍🚀",
    "",
    "word " * 300,
]


def grey(value: int, height: int = 20, width: int = 20) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def panels(figure: Figure) -> list:
    return [axes for axes in figure.axes if axes.get_visible()]


def drawn(figure: Figure) -> np.ndarray:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12, 30])
def test_a_contact_sheet_shows_best_median_and_worst_once_each(count: int) -> None:
    scores = np.random.default_rng(count).permutation(count) / 100
    captions = [f"caption {score:.2f}" for score in scores]
    references = [[f"truth {score:.2f}", "another"] for score in scores]
    figure = contact_sheet([grey(index) for index in range(count)], references, captions, scores)
    each = min(4, count // 3)
    ranked = np.sort(scores)[::-1]
    middle = (count - each) // 2
    shown = [*ranked[:each], *ranked[middle : middle + each], *ranked[count - each :]] if each else list(ranked)
    assert [axes.get_title() for axes in panels(figure)] == [f"{score:.3f}" for score in shown]
    beneath = [axes.get_xlabel() for axes in panels(figure)]
    assert beneath == [f"caption {score:.2f}\nreference: truth {score:.2f}" for score in shown]
    pixels = [axes.images[0].get_array()[0, 0, 0] for axes in panels(figure)]
    assert [scores[pixel] for pixel in pixels] == shown


@pytest.mark.filterwarnings("ignore:Glyph")
def test_captions_of_any_letters_are_drawn() -> None:
    pictures = [grey(9, 30, 10)] * len(ODD)
    figure = contact_sheet(pictures, [[caption] for caption in reversed(ODD)], ODD, np.arange(len(ODD)))
    assert drawn(figure).std() > 0
    assert drawn(captioned(pictures, ODD)).std() > 0
    assert drawn(attention_maps(grey(99), ODD, np.ones((len(ODD), 2, 2)))).std() > 0


def test_dollars_are_no_formula() -> None:
    with_dollars, without = (drawn(captioned([grey(9)], [f"{mark}a b c{mark}"])) for mark in ("$", ""))
    assert (with_dollars < 128).sum() > (without < 128).sum()  # a formula has no dollars, and no spaces


@pytest.mark.filterwarnings("ignore:Glyph")
def test_long_captions_stay_within_their_picture() -> None:
    figure = captioned([grey(9)] * 4, ["word " * 300, "a" * 300, "字" * 300, "short"])
    drawn(figure)
    for axes in panels(figure):
        text, picture = axes.xaxis.label.get_window_extent(), axes.get_window_extent()
        assert text.x0 > picture.x0 - 12
        assert text.x1 < picture.x1 + 12


def test_a_map_lets_light_on_what_was_looked_at() -> None:
    """A picture twice as wide as high lies between white bands, and the grid covers them."""
    picture = grey(200, 32, 64)
    weights = np.zeros((2, 4, 4), np.float32)
    weights[0, 0, 0], weights[1, 3, 2] = 0.6, 1.0
    figure = attention_maps(picture, ["left", "right", ""], np.concatenate([weights, np.ones((1, 4, 4))]))
    plain, left, right = panels(figure)
    assert [axes.get_title() for axes in (plain, left, right)] == ["", "left", "right"]
    square = plain.images[0].get_array()
    assert square.shape == (64, 64, 3)
    assert (square[16:48] == 200).all()
    assert (square[:16] == 255).all()
    assert (square[48:] == 255).all()
    for axes, (row, column) in ((left, (0, 0)), (right, (3, 2))):
        darkness = np.asarray(axes.images[1].get_alpha())
        assert darkness.shape == (64, 64)
        middle = darkness.reshape(4, 16, 4, 16)[:, 6:10, :, 6:10].mean(axis=(1, 3))  # [4, 4], of the cells
        assert middle[row, column] < 0.2
        assert np.sort(middle.ravel())[1] > 0.6


def test_maps_of_several_pictures_and_of_an_empty_caption_share_a_sheet() -> None:
    words = [f"w{number}" for number in range(11)]
    shown = [
        (grey(3), words, np.ones((11, 7, 7))),
        (grey(4, 9, 5), ["", ""], np.ones((2, 7, 7))),
        (grey(5), ["dark"], np.zeros((1, 7, 7))),
    ]
    figure = attention_sheet(shown)
    assert [axes.get_title() for axes in panels(figure)] == ["", *words, "", "", "dark"]
    assert drawn(figure).std() > 0


def test_pictures_are_opened_as_the_model_sees_them() -> None:
    def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    clear = Image.new("RGBA", (3, 2), (255, 0, 0, 0))
    clear.putpixel((0, 0), (255, 0, 0, 255))
    pixels = open_picture(encoded(clear, "PNG"))
    assert pixels.shape == (2, 3, 3)
    assert pixels.dtype == np.uint8
    assert pixels[0].tolist() == [[255, 0, 0], [255, 255, 255], [255, 255, 255]]
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: to be shown turned by 90 degrees clockwise
    dark_below = Image.new("L", (1000, 4000), 7)
    dark_below.paste(207, (0, 0, 1000, 2000))
    wide = open_picture(encoded(dark_below, "JPEG", exif=turned))
    assert wide.shape == (128, 512, 3)
    assert (wide[:, :250] == 7).all()
    assert (wide[:, 262:] == 207).all()
