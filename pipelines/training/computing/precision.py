"""The precision in which a model is trained. What is exported computes in float32."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import tensorflow as tf

from unroll.errors import UserError
from unroll.pipelines.training.config import TrainSection

_CPU = Path("/proc/cpuinfo")
_MATRIX_UNITS = "amx_bf16"
_REWRITE = "auto_mixed_precision_onednn_bfloat16"
_NOT_REWRITTEN = "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_INFERLIST_REMOVE"
_ELEMENTWISE = "AddN,Mean,Mul,RealDiv,Rsqrt,Sigmoid,SigmoidGrad,Softmax,Square,SquaredDifference,Sub,Sum,Tanh,TanhGrad"
"""Operations of TensorFlow that are faster in float32."""


@contextmanager
def precision(config: TrainSection) -> Iterator[None]:
    """Models that are built and trained here compute as `chosen_precision` says.

    With float16 it is the layers that do, by Keras' policy. With bfloat16 TensorFlow rewrites the graphs that are run
    here: products of matrices and convolutions read bfloat16 and add up in float32, gates and norms are of float32.
    Weights are float32 in each case.
    """
    chosen = chosen_precision(config)
    policy, options = keras.config.dtype_policy(), tf.config.optimizer.get_experimental_options()
    keras.config.set_dtype_policy("mixed_float16" if chosen == "float16" else "float32")
    tf.config.optimizer.set_experimental_options({_REWRITE: chosen == "bfloat16"})
    if chosen == "bfloat16":
        os.environ.setdefault(_NOT_REWRITTEN, _ELEMENTWISE)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        tf.config.optimizer.set_experimental_options({_REWRITE: options.get(_REWRITE, False)})


def chosen_precision(config: TrainSection) -> str:
    """`float16`, `bfloat16` or `float32`, by `train.mixed_precision` and what there is to compute with.

    Raises:
        UserError: less than float32 is asked for, and neither a GPU nor a CPU with units for it is there.
    """
    gpu, matrix_units = bool(tf.config.list_physical_devices("GPU")), _MATRIX_UNITS in _cpu_flags()
    if config.mixed_precision and gpu:
        return "float16"
    if config.mixed_precision and not matrix_units:
        raise UserError(
            "configuration key train.mixed_precision: needs a GPU or a CPU with AMX, and there is neither. Leave it out"
        )
    return "float32" if gpu or not matrix_units or config.mixed_precision is False else "bfloat16"


def _cpu_flags() -> list[str]:
    """What the first processor is capable of, as Linux names it; nothing on other systems."""
    lines = _CPU.read_text().splitlines() if _CPU.exists() else []
    return next((line.split() for line in lines if line.startswith("flags")), [])
