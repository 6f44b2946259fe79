"""What the pictures and the time decide where nothing is set."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from tests.picture_fixtures import encoded, noise
from unroll.pipelines.tasks.captioning.config import CaptionConfig
from unroll.pipelines.tasks.captioning.data import prepare
from unroll.pipelines.tasks.captioning.plan import default_epochs, planned, size_for
from unroll.pipelines.tasks.captioning.task import Captioning
from unroll.pipelines.training.progress import Progress


def config(minutes: float | None = None, **model) -> CaptionConfig:
    return CaptionConfig(model=model, train={"minutes": minutes})


@pytest.mark.parametrize(
    ("come", "pictures", "minutes", "size"),
    [
        (8, 1258, 3, 16),  # the least that there is
        (18, 2100, 3, 24),
        (28, 2100, 3, 32),
        (64, 4780, 30, 64),
        (64, 4780, 12, 32),  # short: smaller than they come
        (64, 4780, 0.1, 32),  # and no smaller than that
        (4000, 500, None, 128),
        (4000, 50_000, None, 32),  # an hour, where no budget is set
        (4000, 56, None, 48),  # few
        (4000, 56, 3, 128),  # few, and the time is there
        (40, 56, None, 48),
        (28, 250, None, 32),
    ],
)
def test_pictures_are_read_no_larger_than_they_come_and_as_small_as_the_minutes_ask(come, pictures, minutes, size):
    found, said = size_for([come] * pictures, pictures, config(minutes))
    assert found == size
    assert f"{size} x {size} pixels (data.size)" in said


@pytest.mark.parametrize(
    ("pictures", "train", "dropout", "words"),
    [
        (4780, {"minutes": 12}, 0.1, 0),
        (4780, {"minutes": 20}, 0.1, 0.2),
        (4780, {"minutes": 60}, 0.3, 0),
        (4780, {}, 0.1, 0),  # 32 epochs
        (1500, {}, 0.3, 0),  # 100
        (1500, {"epochs": 20}, 0.1, 0),
        (1500, {"epochs": 60}, 0.1, 0.2),
        (4780, {"epochs": 90, "minutes": 90}, 0.3, 0),
    ],
)
def test_dropout_is_for_trainings_of_many_epochs(pictures, train, dropout, words):
    found, said = planned(CaptionConfig(train=train), {"size": 32, "images": {"train": pictures}})
    assert (found.model.dropout, found.model.word_dropout) == (dropout, words)
    assert any(f"Dropout of {dropout}" in line and f"of words {words} (" in line for line in said)
    kept, _ = planned(CaptionConfig(train=train, model={"dropout": 0.2}), {"size": 32, "images": {"train": pictures}})
    assert kept.model.dropout == 0.2
    assert (kept.model.grid_dropout, kept.model.word_dropout) == (found.model.grid_dropout, words)


def test_a_few_large_pictures_do_not_decide():
    assert size_for([28] * 95 + [2000] * 5, 70, config())[0] == 32


def test_networks_that_others_made_keep_their_size():
    assert size_for([8] * 100, 70, config(0.1, backbone="MobileNetV3Small"))[0] == 128
    assert size_for([96] * 100, 70, config(encoder="mine:encoder"))[0] == 96
    assert size_for([96] * 100_000, 70_000, config(0.1, encoder="mine:encoder"))[0] == 96


def test_small_sets_are_read_more_often():
    counts = [default_epochs(pictures).count for pictures in (100, 4780, 1_000_000)]
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == 3


def test_few_pictures_are_not_read_for_long():
    assert default_epochs(56).count < default_epochs(1300).count  # those can teach a network more
    assert default_epochs(56).count * 56 < 5000


def drawing(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (40, 20), "white")
    x, y = rng.integers(0, 10, 2)
    ImageDraw.Draw(picture).rectangle((int(x), int(y), int(x) + 25, int(y) + 12), fill=tuple(rng.integers(0, 256, 3)))
    return picture


def task_of(folder, pictures, kind: str, **settings) -> Captioning:
    """Captions of pictures with nothing but the split named."""
    split = ["train", "validation", "train", "test"] * 3
    frame = pd.DataFrame({"image": [encoded(one, kind) for one in pictures], "caption": "one", "split": split})
    frame.to_parquet(folder / "data.parquet")
    chosen = CaptionConfig(data={"split": "split"}, **settings)
    (folder / "prepared").mkdir()
    with Progress() as progress:
        prepare(chosen, str(folder / "data.parquet"), folder / "prepared", progress)
    return Captioning(chosen, folder / "prepared")


def test_drawings_keep_their_colours_and_the_summary_says_what_was_chosen(tmp_path):
    task = task_of(tmp_path, [drawing(seed) for seed in range(12)], "PNG")
    assert (task.dataset_info()["size"], task.config.train.colour) == (48, 0.0)
    assert task.build().size == 48
    for line in ("Pictures are read at 48 x 48 pixels (data.size)", "model.filters", "train.colour=0"):
        assert line in task.summary()
        assert any(line in one for one in task.dataset_info()["chosen"]), "the card says it, too"


def test_photographs_are_tinted_and_what_is_set_is_kept(tmp_path):
    task = task_of(tmp_path, [noise(30, 40, seed) for seed in range(12)], "JPEG", model={"filters": 5})
    assert (task.config.train.colour, task.config.model.filters) == (0.05, 5)
    assert "train.colour" not in task.summary()


def test_a_further_budget_prepares_anew_only_where_the_size_is_open():
    def key(size: int | None, minutes: float) -> dict:
        return Captioning.preparation(CaptionConfig(data={"size": size}, train={"minutes": minutes}))

    assert key(32, 1) == key(32, 60)
    assert key(None, 1) != key(None, 60)
