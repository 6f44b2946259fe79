"""Every cell, exported: whole sequences and streams, through the loader that TensorFlow Serving has."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from unroll import serving
from unroll.models.layers.encoder import CELLS, encoder
from unroll.pipelines.training.exported import Exported
from unroll.serving.engine.graph_session import read_meta_graph
from unroll.serving.export import ops_of

FEATURES, WINDOW = 3, 4


class Streams(tf.Module):
    """A cell's whole pass, its two directions, and its step, the state among inputs and outputs."""

    def __init__(self, cell: str) -> None:
        super().__init__()
        self.both = encoder(cell, 4, 2, bidirectional=True)
        self.one = encoder(cell, 4, 2, window=WINDOW)
        self.both.build([None, None, FEATURES])
        self.one.build([None, None, FEATURES])
        self.raw = [weight.value for layer in (self.both, self.one) for weight in layer.weights]

    def signatures(self) -> dict:
        inputs = [tf.TensorSpec([None, None, FEATURES], tf.float32, "x"), tf.TensorSpec([None], tf.int32, "lengths")]
        state = self.one.forward.initial_state(1)
        given = [tf.TensorSpec([None, *one.shape[1:]], one.dtype, f"state_{i}") for i, one in enumerate(state)]

        def whole(x, lengths):
            return {"y": self.one(x, lengths), "both": self.both(x, lengths)}

        def step(x, *state):
            y, after = self.one.forward.step(x, state)
            return {"y": y, **{f"state_{i}": one for i, one in enumerate(after)}}

        step_inputs = [tf.TensorSpec([None, FEATURES], tf.float32, "x"), *given]
        return {
            "serving_default": tf.function(whole, input_signature=inputs),
            "step": tf.function(step, input_signature=step_inputs),
        }


NEW = ("mingru", "transformer")  # tests of the tasks export the others, but not their steps


@pytest.mark.parametrize(
    "cell", [cell if cell in NEW else pytest.param(cell, marks=pytest.mark.slow) for cell in CELLS]
)
def test_an_exported_encoder_answers_whole_sequences_and_streams(tmp_path: Path, cell: str) -> None:
    keras.utils.set_random_seed(7)
    module, rng = Streams(cell), np.random.default_rng(0)
    serving.export_saved_model(
        module, module.signatures(), tmp_path / "one", name=cell, warmup_requests=[], model=module.one
    )
    ops = ops_of(read_meta_graph(tmp_path / "one", ["serve"]))
    assert not [op for op in ops if "Cudnn" in op or "Xla" in op]
    exported = Exported(tmp_path / "one")
    for time in (9, 3):  # any number of timesteps, longer and shorter than the cache
        x, lengths = rng.normal(size=(2, time, FEATURES)).astype(np.float32), np.array([time, 2], np.int32)
        whole = exported.predict({"x": x, "lengths": lengths})
        for layer, output in ((module.one, "y"), (module.both, "both")):
            np.testing.assert_allclose(whole[output], layer(tf.constant(x), lengths), atol=1e-5)
        state = {f"state_{i}": one.numpy() for i, one in enumerate(module.one.forward.initial_state(2))}
        sizes = {name: one.shape for name, one in state.items()}
        for t in range(time):
            answer = exported.predict({"x": x[:, t], **state}, "step")
            np.testing.assert_allclose(answer["y"], whole["y"][:, t], atol=1e-5, err_msg=f"step {t}")
            state = {name: answer[name] for name in state}
        assert {name: one.shape for name, one in state.items()} == sizes, "a stream carries as much however long it is"
