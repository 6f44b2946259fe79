"""`unroll predict` with pictures, against a small model on a real server."""

import io
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from tests.serving_fixtures import Server
from unroll.errors import UserError
from unroll.pipelines.asking import Answer, ask
from unroll.serving.client.client import Client
from unroll.serving.versions.store import Store

COLOURS = {"red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250)}


def export_namer(directory: Path, attention: bool) -> Path:
    """A model that says which of red, green and blue there is most of; it takes PNG, at most 16 a request."""
    import tensorflow as tf

    from unroll.serving.export import export_saved_model

    class Namer(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.names = tf.constant(["$red$ 日本", "green", "blue"])

        def amounts(self, image: tf.Tensor) -> tf.Tensor:
            def amount(one: tf.Tensor) -> tf.Tensor:
                return tf.reduce_mean(tf.cast(tf.io.decode_png(one, channels=3), tf.float32), axis=[0, 1])

            with tf.control_dependencies([tf.debugging.Assert(tf.shape(image)[0] <= 16, ["too many"])]):
                return tf.map_fn(amount, tf.identity(image), fn_output_signature=tf.TensorSpec([3], tf.float32))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image")])
        def caption(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
            values, order = tf.math.top_k(self.amounts(image) / 1000.0, 3)  # [B, 3]
            names = tf.gather(self.names, order)
            never = tf.fill([tf.shape(image)[0], 1], -np.inf)
            return {
                "caption": names[:, 0],
                "log_probability": values[:, 0] - 1.0,
                "alternatives": names[:, 1:],
                "alternative_log_probabilities": tf.concat([values[:, 1:2] - 1.0, never], axis=1),
            }

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image")])
        def attention(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
            names = tf.gather(self.names, tf.argmax(self.amounts(image), axis=1))
            return {
                "caption": names,
                "tokens": tf.stack([tf.fill(tf.shape(names), "a"), names, tf.fill(tf.shape(names), "")], axis=1),
                "maps": tf.fill([tf.shape(image)[0], 3, 2, 2], 0.25),
            }

        @tf.function(input_signature=[])
        def describe(self) -> dict[str, tf.Tensor]:
            return {"json": tf.constant(json.dumps({"task": "captioning", "input": "image", "attention": attention}))}

    module = Namer()
    signatures = {"serving_default": module.caption, "describe": module.describe}
    if attention:
        signatures["attention"] = module.attention
    return export_saved_model(
        module, signatures, directory, name="namer", warmup_requests=[("serving_default", {"image": [encoded("red")]})]
    )


def encoded(colour: str, size: int = 4) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (size, size), COLOURS[colour]).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def namers(server: Server, store: Store, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The models `namer` and, without maps, `blind`, on the shared server."""
    folder = tmp_path_factory.mktemp("namers")
    for name in ("namer", "blind"):
        store.put(name, 1, export_namer(folder / name, attention=name == "namer"))
        with Client(server.address, model=name) as client:
            client.wait_until_ready()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty pictures, one of which is large, and files that are none."""
    for number in range(40):
        (tmp_path / f"{number:02}.png").write_bytes(encoded(list(COLOURS)[number % 3]))
    noise = Image.frombytes("RGB", (1300, 1300), random.Random(0).randbytes(3 * 1300**2))
    noise.save(tmp_path / "40.PNG", "PNG")  # 5 MB
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def asked(server: Server, *inputs: object, model: str = "namer") -> Answer:
    with Client(server.address, model=model) as client:
        return ask(client, [str(one) for one in inputs])


def refusal(server: Server, *inputs: object) -> str:
    with pytest.raises(UserError) as refused:
        asked(server, *inputs)
    return str(refused.value)


@pytest.mark.usefixtures("namers")
def test_a_folder_is_answered_in_order_in_several_requests(server: Server, folder: Path) -> None:
    answer = asked(server, folder)
    assert answer.version == 1
    assert [row["image"] for row in answer.predictions] == [
        *(str(folder / f"{number:02}.png") for number in range(40)),
        str(folder / "40.PNG"),
    ]
    captions = [row["caption"] for row in answer.predictions]
    assert captions[:40] == [["$red$ 日本", "green", "blue"][number % 3] for number in range(40)]


@pytest.mark.usefixtures("namers")
def test_files_and_globs_are_answered_with_their_alternatives(server: Server, folder: Path) -> None:
    (folder / "any.name").write_bytes(encoded("blue"))
    answer = asked(server, folder / "any.name", folder / "0[01].*")
    assert [row["image"] for row in answer.predictions] == [str(folder / n) for n in ("any.name", "00.png", "01.png")]
    assert answer.predictions[0] == {
        "image": str(folder / "any.name"),
        "caption": "blue",
        "log_probability": pytest.approx(-0.75),
        "alternatives": [{"caption": "$red$ 日本", "log_probability": pytest.approx(-1.0)}],  # not that of no chance
    }
    json.dumps(answer.predictions, allow_nan=False)
    console = Console(record=True, width=160, file=io.StringIO())
    console.print(answer.table)
    text = console.export_text()
    assert "blue" in text
    assert "-0.75" in text
    assert "$red$ 日本 (-1.00)" in text
    narrow = Console(record=True, width=60, file=io.StringIO())
    narrow.print(answer.table)
    assert "…" not in narrow.export_text(), "a path is folded"


@pytest.mark.usefixtures("namers")
def test_the_picture_that_the_server_refuses_is_named(server: Server, folder: Path) -> None:
    (folder / "23.png").write_bytes(b"no picture at all")
    message = refusal(server, folder)
    print(message)
    assert message.startswith(f"--input {folder / '23.png'}: namer refused it: ")
    assert message.endswith(". Leave it out")
    assert "\n" not in message


@pytest.mark.usefixtures("namers")
def test_what_cannot_be_sent_is_refused(server: Server, tmp_path: Path) -> None:
    assert "Nothing to ask" in refusal(server)
    assert f"--input {tmp_path}: the folder holds no .jpg, .jpeg, .png file" in refusal(server, tmp_path)
    assert f"--input {tmp_path}/none.jpg: no such file" in refusal(server, tmp_path / "none.jpg")
    (tmp_path / "notes.txt").write_text("no picture")
    assert "the pattern holds no" in refusal(server, tmp_path / "*.txt")
    with (tmp_path / "huge.png").open("wb") as file:
        os.truncate(file.fileno(), (32 << 20) - 4096)
        assert "larger" not in refusal(server, tmp_path / "huge.png")  # no PNG, but a message could hold it
        os.truncate(file.fileno(), 40 << 20)
    assert "huge.png: 40.0 MB, and a request takes 32.0 MB at most" in refusal(server, tmp_path / "huge.png")


@pytest.mark.usefixtures("namers")
@pytest.mark.parametrize(("model", "titles"), [("namer", ["", "a", "$red$ 日本"]), ("blind", [""])])
def test_the_first_pictures_are_drawn(server: Server, folder: Path, model: str, titles: list[str]) -> None:
    with Client(server.address, model=model) as client:
        answer = ask(client, [str(folder)])
        assert answer.figure
        panels = [axes for axes in answer.figure().axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels[: len(titles)]] == titles
    assert len(panels) == 4 * len(titles)
    assert panels[len(titles)].images[0].get_array()[0, 0].tolist() == [0, 250, 0]
    assert [axes.get_xlabel() for axes in panels[:2]] == (["", ""] if model == "namer" else ["$red$ 日本", "green"])
