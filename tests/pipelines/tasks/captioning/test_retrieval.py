"""Captions of training pictures that look alike, in the graph that is served."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.picture_fixtures import encoded, noise
from unroll import serving
from unroll.pipelines.tasks.captioning.config import CaptionConfig
from unroll.pipelines.tasks.captioning.data import prepare
from unroll.pipelines.tasks.captioning.task import Captioning
from unroll.pipelines.training.exported import Exported
from unroll.pipelines.training.progress import Progress

FIGURES = 12
SMALL = {"filters": 4, "blocks": 1, "units": 8, "embedding": 4}


def exported_untrained(folder, rows: list[tuple[bytes, list[str], str]]) -> tuple[Captioning, Exported, str]:
    """A captioner that has learnt nothing, exported; what was said of how it answers."""
    pd.DataFrame(rows, columns=["image", "caption", "split"]).to_parquet(folder / "data.parquet")
    config = CaptionConfig(data={"split": "split"}, model=SMALL)
    (folder / "prepared").mkdir()
    with Progress() as progress:
        prepare(config, str(folder / "data.parquet"), folder / "prepared", progress)
    task = Captioning(config, folder / "prepared")
    model = task.build()
    servable = task.servable(model)
    serving.export_saved_model(
        servable.module, servable.signatures, folder / "exported", name="m", warmup_requests=[], model=model
    )
    return task, Exported(folder / "exported"), servable.said[0]


def seen_again(figure: int, seed: int) -> bytes:
    """A picture of a figure, a little different each time."""
    pixels = np.asarray(noise(16, 16, figure), int) + np.random.default_rng(seed).integers(-20, 21, (16, 16, 3))
    return encoded(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)))


@pytest.fixture(scope="module")
def remembered(tmp_path_factory) -> tuple[Captioning, Exported, str]:
    rows = [
        (seen_again(figure, 100 * copy + figure), [f"figure number {figure}"], split)
        for figure in range(FIGURES)
        for copy, split in enumerate(["train", "train", "validation", "test"])
    ]
    return exported_untrained(tmp_path_factory.mktemp("remembered"), rows)


def test_what_the_network_has_not_learnt_is_remembered(remembered):
    task, exported, said = remembered
    pictures = np.array([seen_again(figure, 7000 + figure) for figure in range(FIGURES)], object)
    answers = exported.predict({"image": pictures})
    assert [one.decode() for one in answers["caption"]] == [f"figure number {figure}" for figure in range(FIGURES)]
    for caption, others in zip(answers["caption"], answers["alternatives"], strict=True):
        assert len({caption, *others}) == 4
    assert (answers["log_probability"] < 0).all()
    assert "of 24 training pictures" in said
    assert task.dataset_info()["answer"] == said, "the card says it, too"


def test_every_signature_means_the_same_caption(remembered):
    _, exported, _ = remembered
    pictures = {"image": np.array([seen_again(figure, 7000 + figure) for figure in range(3)], object)}
    looked = exported.predict(pictures, "attention")
    assert looked["caption"].tolist() == exported.predict(pictures)["caption"].tolist()
    assert [b" ".join(one).strip().decode() for one in looked["tokens"]] == [f"figure number {row}" for row in range(3)]
    described = json.loads(exported.predict({}, "describe")["json"].item())
    assert described["retrieval"]["pictures"] == 24
