"""Signatures that check the shapes of their inputs, some of which a client may leave out."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from unroll.models.checks import checked_shapes

if TYPE_CHECKING:
    from unroll.pipelines.task import Arrays, Predict

Tensors = Mapping[str, tf.Tensor]


def signature(
    function: Callable[..., Tensors],
    needed: Sequence[tf.TensorSpec] = (),
    optional: Tensors | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
    free: Collection[str] = (),
) -> Any:
    """A tf.function to export. It refuses inputs that differ from their specs, or in their rows.

    Args:
        function: takes the inputs by name; those that were left out are not passed.
        needed: specs of the inputs that must be sent.
        optional: of each other input what stands for it, a tensor of one row; it becomes the SignatureDef's default.
        columns: by input, the names of what stands in its last dimension; for the error.
        free: optional inputs of which a row may be of any size.

    Example:
        >>> scaled = signature(lambda x, by=None: {"y": x if by is None else x * by},
        ...                    [tf.TensorSpec([None], tf.float32, "x")], {"by": tf.constant([2.0])})
        >>> scaled(x=tf.constant([1.0, 3.0]), by=tf.constant([2.0, 2.0]))["y"].numpy()
        array([2., 6.], dtype=float32)
    """
    optional = optional or {}
    sizes = {name: [None] * (v.shape.rank - 1) if name in free else v.shape[1:] for name, v in optional.items()}
    specs = [*needed, *(tf.TensorSpec([None, *sizes[name]], v.dtype, name=name) for name, v in optional.items())]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        inspect.Parameter(spec.name, kind, default=optional.get(spec.name, inspect.Parameter.empty)) for spec in specs
    ]
    arguments = inspect.Signature(parameters)

    def call(*args: tf.Tensor, **kwargs: tf.Tensor) -> Tensors:
        given = arguments.bind(*args, **kwargs).arguments
        if given:
            given = checked_shapes(given, {spec.name: spec for spec in specs}, optional, columns or {})
        return function(**given)

    call.__signature__ = arguments  # type: ignore[attr-defined]  # the defaults of which TensorFlow exports
    return tf.function(call, input_signature=specs, autograph=False)


def in_process(signatures: Mapping[str, Any]) -> "Predict":
    """What answers as an exported model would, without an export: inputs that a signature does not have are ignored.

    Args:
        signatures: by name, as `signature` makes them.
    """

    def predict(inputs: "Arrays", name: str = "serving_default", /) -> "Arrays":
        function = signatures[name]
        specs = {spec.name: spec for spec in function.input_signature}
        given = {key: tf.constant(inputs[key], spec.dtype) for key, spec in specs.items() if key in inputs}
        return {key: value.numpy() for key, value in function(**given).items()}

    return predict
