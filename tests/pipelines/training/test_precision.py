"""Training in less than float32: by the CPU's units for it, and never in what is exported."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from unroll.errors import UserError
from unroll.pipelines.training.computing import precision as chosen
from unroll.pipelines.training.computing.precision import chosen_precision, precision
from unroll.pipelines.training.config import TrainSection

AMX, PLAIN = "flags\t\t: fpu sse2 avx512_bf16 amx_bf16 amx_tile\n", "flags\t\t: fpu sse2 avx2\n"


@pytest.fixture
def cpu(tmp_path, monkeypatch):
    """Has the machine be one with these lines in /proc/cpuinfo."""

    def of(lines: str | None) -> None:
        file = Path(tmp_path, "cpuinfo")
        if lines is not None:
            file.write_text(f"processor\t: 0\n{lines}\nprocessor\t: 1\n{lines}")
        monkeypatch.setattr(chosen, "_CPU", file)

    return of


@pytest.mark.parametrize(
    ("lines", "asked", "found"),
    [(AMX, None, "bfloat16"), (AMX, True, "bfloat16"), (AMX, False, "float32"), (PLAIN, None, "float32")],
)
def test_the_units_of_the_cpu_decide_unless_told_otherwise(cpu, lines, asked, found):
    cpu(lines)
    assert chosen_precision(TrainSection(mixed_precision=asked)) == found


@pytest.mark.parametrize("lines", [PLAIN, None])
def test_where_nothing_computes_in_less_it_is_refused(cpu, lines):
    cpu(lines)
    with pytest.raises(UserError, match=r"train\.mixed_precision: needs a GPU or a CPU with AMX, .*Leave it out"):
        chosen_precision(TrainSection(mixed_precision=True))


def test_what_was_set_before_is_set_again(cpu):
    cpu(AMX)
    options, policy = tf.config.optimizer.get_experimental_options(), keras.config.dtype_policy()
    with precision(TrainSection(mixed_precision=True)):
        assert tf.config.optimizer.get_experimental_options()[chosen._REWRITE]
    after = tf.config.optimizer.get_experimental_options()
    assert not after.pop(chosen._REWRITE)
    assert after == {key: value for key, value in options.items() if key != chosen._REWRITE}
    assert keras.config.dtype_policy() is policy


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_a_network_learns_alike_and_its_weights_stay_float32(cell, cpu):
    """On a CPU that lacks the units TensorFlow leaves the graph as it is, and both are equal."""
    cpu(AMX)
    losses = {}
    for asked in (False, True):
        keras.utils.set_random_seed(0)
        with precision(TrainSection(mixed_precision=asked)):
            model = keras.Sequential([getattr(keras.layers, cell)(32), keras.layers.Dense(1)])
            model.compile(keras.optimizers.Adam(0.01), "mse")
            inputs = np.random.default_rng(0).normal(size=(256, 10, 8)).astype(np.float32)
            targets = inputs.sum(axis=(1, 2))[:, None]
            losses[asked] = model.fit(inputs, targets, epochs=4, verbose=0, shuffle=False).history["loss"]
        assert {variable.dtype for variable in model.variables if "seed" not in variable.path} == {"float32"}
    np.testing.assert_allclose(losses[True], losses[False], rtol=0.02)
