"""Methods of the clients that read like a task, before a server with a model of each; and the page that shows them."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.serving.client.test_client import CLIENTS, got
from tests.serving_fixtures import SERVE, Server, start_server
from unroll.serving import AsyncClient, Client, ServingError, Store

PAGE = Path(__file__).parents[3] / "docs" / "clients.md"
PHOTO = b"\xff\xd8 a picture"


@pytest.fixture(scope="module")
def tasks(exports: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    import tensorflow as tf

    from unroll.serving.export import export_saved_model

    unknown = tf.constant([-1], tf.int64)

    class Forecaster(tf.Module):
        """The newest step goes on for two steps; the quantiles are one below and one above it."""

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, None, 1], tf.float32, "history"),
                tf.TensorSpec([None], tf.int64, "timestamp"),
            ]
        )
        def serve(self, history: tf.Tensor, timestamp: tf.Tensor = unknown) -> dict[str, tf.Tensor]:
            last = tf.repeat(history[:, -1:], 2, axis=1) + tf.cast(timestamp[:1] + 1, tf.float32)
            return {"forecast": last, "quantiles": tf.stack([last - 1.0, last + 1.0], axis=-1)}

        @tf.function(input_signature=[])
        def describe(self) -> dict[str, tf.Tensor]:
            return {"json": tf.constant(json.dumps({"quantiles": [0.1, 0.9]}))}

    class Captioner(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image")])
        def serve(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
            size = tf.strings.length(image)
            return {"caption": tf.strings.as_string(size), "log_probability": -tf.cast(size, tf.float32)}

    folder = tmp_path_factory.mktemp("tasks")
    store = Store(folder / "store")
    store.put("sentiment", 1, exports[1])
    forecaster, captioner = Forecaster(), Captioner()
    signatures = {"serving_default": forecaster.serve, "describe": forecaster.describe}
    history = {"history": np.zeros((1, 3, 1), np.float32)}
    load = export_saved_model(
        forecaster, signatures, folder / "load", name="load", warmup_requests=[("serving_default", history)]
    )
    store.put("load", 1, load)
    picture = ("serving_default", {"image": [PHOTO]})
    photos = export_saved_model(
        captioner, {"serving_default": captioner.serve}, folder / "photos", name="photos", warmup_requests=[picture]
    )
    store.put("photos", 1, photos)
    server = start_server(*SERVE, "--store", str(store.root))
    assert server.port, "".join(server.output)
    yield server
    assert server.stop() == 0, "".join(server.output)


def test_each_task_has_its_method(tasks):
    with Client(tasks.address, model="sentiment") as client:
        assert client.sentiment(["good", "film"]) == [("positive", 4.0), ("unknown", 4.0)]
    with Client(tasks.address, model="load") as client:
        answer = client.forecast([[1.0, 2.0, 3.0], [5.0]])
        np.testing.assert_array_equal(answer.forecast, [[[3], [3]], [[5], [5]]])
        assert list(answer.quantiles) == [0.1, 0.9]
        np.testing.assert_array_equal(answer.quantiles[0.9], answer.forecast + 1)
        assert answer.version == 1
        np.testing.assert_array_equal(client.forecast([[[7.0]]], timestamp=[9]).forecast, [[[17], [17]]])
    with Client(tasks.address, model="photos") as client:
        assert client.caption([PHOTO, b""]) == [("12", -12.0), ("0", 0.0)]


async def test_many_tasks_share_one_client(tasks):
    async with AsyncClient(tasks.address, model="sentiment") as client:
        texts = [f"{'good' * (number % 7)}" for number in range(200)]
        answers = await asyncio.gather(*(client.sentiment([text]) for text in texts))
        assert [score for ((_, score),) in answers] == [len(text) for text in texts]
    async with AsyncClient(tasks.address, model="load") as client:
        assert (await client.forecast([[1.0]])).quantiles[0.1].tolist() == [[[0.0], [0.0]]]
    async with AsyncClient(tasks.address, model="photos") as client:
        assert await client.caption([PHOTO]) == [("12", -12.0)]


@CLIENTS
@pytest.mark.parametrize(
    ("model", "method", "asked", "said"),
    [
        ("photos", "predict", ({"image": [PHOTO]}, "nope"), 'key "nope" not found. The model has serving_default'),
        ("load", "classify", (["a"],), "with the name: classify. The model has describe, serving_default"),
        ("photos", "predict", ({"image": [PHOTO]}, "serving_default", 9), "9). The server has version 1 AVAILABLE"),
        ("none", "predict", ({"image": [PHOTO]},), "Latest(none). The server has no model of this name: check it"),
    ],
)
async def test_a_refusal_tells_what_there_is(tasks, client_class, model, method, asked, said):
    client = client_class(tasks.address, model=model)
    with pytest.raises(ServingError, match=re.escape(said)):
        await got(getattr(client, method)(*asked))
    await got(client.close())


def test_what_the_page_shows_runs(tasks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photo.jpg").write_bytes(PHOTO)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(block.replace("127.0.0.1:8500", tasks.address), {"__name__": "page"})
