"""What is stored with a model is read again, by the names that its file has had from the beginning."""

import json

from unroll.pipelines.training.card import Card


def test_the_file_keeps_its_names(tmp_path):
    card = Card(
        "reviews", "sentiment", {"model": {"units": 8}}, {"read": 3}, "data.csv", "0" * 64, "run", {"test/x": 1.0}
    )
    document = card.files()["unroll.json"]
    assert json.loads(document)["facts"] == {"read": 3}
    folder = tmp_path / "assets.extra"
    folder.mkdir()
    (folder / "unroll.json").write_bytes(document)
    assert Card.load(tmp_path) == card
