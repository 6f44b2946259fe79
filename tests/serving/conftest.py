"""Models that load in no time, for tests of which versions serve."""

from pathlib import Path

import pytest
import uvloop


@pytest.fixture(scope="session")
def event_loop_policy() -> uvloop.EventLoopPolicy:
    """The server's own event loop: on another, its tests would miss what this one does differently."""
    return uvloop.EventLoopPolicy()


@pytest.fixture(scope="session")
def light_exports(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Version 1, which scores every text 1, and version 2, which scores it 2."""
    import tensorflow as tf

    from unroll.serving.export import export_saved_model

    class Constant(tf.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = tf.Variable(value)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
        def score(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"score": tf.fill(tf.shape(text), self.value)}

    folder = tmp_path_factory.mktemp("light")
    modules = {version: Constant(float(version)) for version in (1, 2)}
    return {
        version: export_saved_model(
            module, {"serving_default": module.score}, folder / str(version), name="light", warmup_requests=[]
        )
        for version, module in modules.items()
    }
