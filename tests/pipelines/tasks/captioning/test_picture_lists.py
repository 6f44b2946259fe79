"""`unroll predict` takes the files of captions that training reads, and asks about each picture once."""

import csv
import json
from typing import Any

import numpy as np
import pytest

from tests.picture_fixtures import encoded, plain
from unroll.errors import UserError
from unroll.pipelines.asking import ask, write
from unroll.serving.protocol.messages import Prediction

NAMES = ("a.png", "b.png")
FILES = {
    "Flickr8k.token.txt": "a.png#0\ta cat\na.png#1\ta grey cat\nb.png#0\ta dog\n",
    "results.token": "a.png#0\ta cat\nb.png#0\ta dog\n",
    "results.csv": "image_name| comment_number| comment\na.png| 0| a cat\na.png| 1| a grey cat\nb.png| 0| a dog\n",
    "captions.txt": "image,caption\na.png,a cat\nb.png,a dog\n",
    "coco.json": json.dumps(
        {
            "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
            "annotations": [{"image_id": one, "caption": "a cat"} for one in (1, 1, 2)],
        }
    ),
    "karpathy.json": json.dumps(
        {"images": [{"filename": name, "split": "test", "sentences": [{"raw": "a cat"}]} for name in NAMES]}
    ),
    "records.json": json.dumps([{"image": name} for name in NAMES]),
    "by_picture.json": json.dumps({name: ["a cat", "a grey cat"] for name in NAMES}),
}


DESCRIPTION = {"input": "image", "data": {"image": "image", "images": None, "split": "split", "group": "source"}}


class Captioner:
    """A model of pictures without a server: its caption is how many bytes a picture has."""

    model = "pictures"

    def metadata(self) -> dict[str, Any]:
        return {"serving_default": None, "describe": None}

    def predict(self, inputs, signature="serving_default", version=None) -> Any:
        found: Any = Prediction()
        found.version = 3
        if signature == "describe":
            found["json"] = np.array(json.dumps(DESCRIPTION), object)
            return found
        count = len(inputs["image"])
        found["caption"] = np.array([str(len(one)) for one in inputs["image"]], object)
        found["log_probability"] = np.zeros(count)
        found["alternatives"] = np.full((count, 1), "", object)
        found["alternative_log_probabilities"] = np.full((count, 1), -np.inf)
        return found


@pytest.fixture
def folder(tmp_path):
    for name, colour in zip(NAMES, ("red", "blue"), strict=True):
        (tmp_path / "img" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "img" / name).write_bytes(encoded(plain(colour, 24 + len(colour))))
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_each_picture_of_a_list_is_asked_about_once(folder, name, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / name).write_text(FILES[name])
    client: Any = Captioner()
    sizes = [str((folder / "img" / one).stat().st_size) for one in NAMES]
    answer = ask(client, [name], ["data.images=img"])
    rows = [(row["image"], row.get("predicted_caption", row["caption"])) for row in answer.predictions]
    assert rows == list(zip(NAMES, sizes, strict=True))
    write(client, [name], folder / "out.csv", ["data.images=img"])
    with (folder / "out.csv").open(newline="") as stream:
        assert [row["image"] for row in csv.DictReader(stream)] == list(NAMES)


def test_a_picture_that_is_not_there_keeps_its_row(folder, capsys):
    (folder / "img" / "tokens.txt").write_text("a.png#0\ta cat\ngone.png#0\ta cat\n")
    client: Any = Captioner()
    answer = ask(client, [str(folder / "img" / "tokens.txt")])
    assert [row["caption"] is None for row in answer.predictions] == [False, True]
    assert "1 of 2 rows have no answer, the first row 2: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", "[1, 2]", "a list of int"),
        ("a.json", "{", "cannot be read as JSON"),
        ("a.token", "a.png#0\ta cat\nb.png a dog\n", "line 2: is not picture.jpg#0, a tab, a caption"),
        ("notes.txt", "a cat sat\n", "has no column 'image'"),
    ],
)
def test_a_file_of_another_form_is_refused_as_what_was_given(folder, name, content, words):
    (folder / name).write_text(content)
    client: Any = Captioner()
    with pytest.raises(UserError) as caught:
        ask(client, [str(folder / name)])
    assert words in str(caught.value)
    assert "--data" not in str(caught.value)
