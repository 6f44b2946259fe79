"""The page's script, in Node where there is one: what it suggests to send, and that it writes on from a text."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import unroll
from tests.rest_fixtures import Rest
from unroll.serving.versions.store import Store

PAGE = Path(unroll.__file__).parent / "serving" / "rest" / "page.html"
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="no Node")


def export_writer(directory: Path) -> Path:
    """Writes the positions of its pieces, and ends at the third."""
    import tensorflow as tf

    from unroll.serving.export import export_saved_model

    text, number = tf.TensorSpec([None], tf.string, "text"), tf.TensorSpec([None], tf.int64, "position")
    state, length = tf.TensorSpec([None, 2], tf.float32, "state_0"), tf.TensorSpec([None], tf.int32, "length")
    sixteen = tf.constant([16])

    class Writer(tf.Module):
        @tf.function(input_signature=[text, length])
        def serve(self, text: tf.Tensor, length: tf.Tensor = sixteen) -> dict[str, tf.Tensor]:
            return {"echo": text, "length": length * tf.ones_like(tf.strings.length(text))}

        @tf.function(input_signature=[text])
        def read(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
            size = tf.strings.length(text)
            return {"size": size, "state_0": tf.cast(size, tf.float32)[:, None] * tf.ones([1, 2])}

        @tf.function(input_signature=[state, number, length])
        def write(self, state_0: tf.Tensor, position: tf.Tensor, length: tf.Tensor = sixteen) -> dict[str, tf.Tensor]:
            text = tf.strings.as_string(position + tf.cast(state_0[:, 0], tf.int64)) + "-"
            after = position + tf.cast(length, tf.int64)
            return {"text": text, "state_0": state_0, "position": after, "ended": after >= 48}

    module = Writer()
    signatures = {"serving_default": module.serve, "read": module.read, "write": module.write}
    return export_saved_model(module, signatures, directory, name="writer", warmup_requests=[])


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., list[dict]]]:
    """What the page shows at first, and after each request."""
    folder = tmp_path_factory.mktemp("page")
    store = Store(folder / "store")
    store.put("writer", 1, export_writer(folder / "1"))
    running = Rest(store)

    def show(*requests: object) -> list[dict]:
        sent = [one if isinstance(one, str) else json.dumps(one) for one in requests]
        command = [NODE, Path(__file__).with_name("page.mjs"), PAGE, f"http://127.0.0.1:{running.port}", *sent]
        return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)

    yield show
    running.stop()


def test_it_writes_on_piece_by_piece_with_the_state(shown):
    first, *written = shown(
        {"instances": [{"text": "sun"}]},
        {"instances": ["moon"]},
        {"inputs": {"text": ["sun"], "length": [20]}},
        {"instances": [{"text": "sun", "stop": ["no", "9-3"]}]},
        {"instances": [{"txt": "sun"}]},
        "{nonsense",
    )
    assert first["writes"]
    assert json.loads(first["request"]) == {"instances": [{"text": "A text."}]}, "what may be left out is"
    assert "length optional input int32 [?]" in first["tensors"]
    assert "text input string [?]" in first["tensors"]
    answers = [one["answer"] for one in written]
    assert answers[:4] == ["sun3-19-35-", "moon4-20-36-", "sun3-19-", "sun3-1"]
    assert [bool(one["problem"]) for one in written] == [False] * 4 + [True] * 2
    assert written[4]["problem"] == "The request has no text to write on from."
    assert "The request is not JSON" in written[-1]["problem"]
