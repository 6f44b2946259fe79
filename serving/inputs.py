"""Requests to arrays, checked against the signature that they ask for."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving import tensors
from serving.session_engine import CLASSIFY, Signature
from serving.status import invalid

Feeds = list[NDArray[Any]]


def predict_feeds(signature: Signature, inputs: Mapping[str, Any]) -> Feeds:
    """Reads the inputs of a PredictRequest.

    An input that was left out takes the signature's default. Where rows of several requests run as one, a
    default of one row stands for each row of the request.

    Args:
        signature: what is asked for.
        inputs: TensorProtos by input name.

    Returns:
        Arrays in the signature's order.

    Raises:
        StatusError: INVALID_ARGUMENT, in TensorFlow Serving's words where it checks the same.
    """
    specs = signature.inputs
    if mismatch := _mismatch(signature, inputs):
        raise invalid(mismatch)
    sent = {}
    for position, (alias, spec) in enumerate(specs.items()):
        if alias not in inputs:
            continue
        try:
            array = tensors.decode(inputs[alias])
        except ValueError:
            raise invalid(f"tensor parsing error: {alias}") from None
        if array.dtype != spec.dtype:
            wanted, given = tensors.data_type_of(spec.dtype), tensors.data_type_of(array.dtype)
            raise invalid(f"Expects arg[{position}] to be {wanted} but {given} is provided")
        if not spec.admits(array.shape):
            raise invalid(
                f"Input {alias!r}: expected shape {_shape(spec.shape or ())}, received {_shape(array.shape)}."
            )
        sent[alias] = array
    if not signature.batchable:
        return [sent[alias] if alias in sent else signature.defaults[alias] for alias in specs]
    rows = {len(array) for array in sent.values()}
    if len(rows) > 1:
        counts = ", ".join(f"{alias}={len(array)}" for alias, array in sent.items())
        raise invalid(f"Inputs must have the same number of rows. Received: {counts}.")
    count = rows.pop() if rows else 1
    return [sent[alias] if alias in sent else _repeated(signature.defaults[alias], count) for alias in specs]


def classify_feeds(signature: Signature, request_input: Any) -> Feeds:
    """Reads the examples of a ClassificationRequest as one vector of serialized tf.Examples.

    Args:
        signature: what is asked for.
        request_input: an Input message.

    Returns:
        `[serialized]`, `serialized` of shape `[n]`.

    Raises:
        StatusError: INVALID_ARGUMENT, or FAILED_PRECONDITION for a signature that names no such input.
    """
    if signature.method != CLASSIFY:
        raise invalid(f"Expected classification signature method_name to be {CLASSIFY}. Was: {signature.method}")
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    # Messages that follow one another in one buffer merge, so the context goes in front of each example.
    context = request_input.example_list_with_context.context.SerializeToString()
    examples = [
        *(example.SerializeToString() for example in request_input.example_list.examples),
        *(context + example.SerializeToString() for example in request_input.example_list_with_context.examples),
    ]
    if not examples:
        raise invalid("Input is empty.")
    return [np.array(examples, dtype=object)]


def _mismatch(signature: Signature, inputs: Mapping[str, Any]) -> str | None:
    """What TensorFlow Serving says of names that the signature lacks, or needs; None where all is well."""
    wanted, sent, defaults = sorted(signature.inputs), sorted(inputs), sorted(signature.defaults)
    if len(sent) > len(wanted) or (len(sent) < len(wanted) and not defaults):
        extra = ",".join(alias for alias in sent if alias not in signature.inputs)
        missing = ",".join(alias for alias in wanted if alias not in inputs)
        return (
            f"input size does not match signature: {len(sent)}!={len(wanted)} len({{{','.join(sent)}}}) != "
            f"len({{{','.join(wanted)}}}). Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
        )
    for alias in wanted:
        if alias not in inputs and alias not in defaults:
            return (
                f"Signature input alias: {alias}(feed name: {signature.inputs[alias].tensor}) not found in request "
                f"and no default value provided. Inputs expected to be in the request {{{','.join(wanted)}}}, or "
                f"default input alias set: {','.join(defaults)}"
            )
    used = [alias for alias in sent if alias in signature.inputs]
    if len(used) < len(sent):
        return f"Inputs contains invalid name. Used request inputs: {','.join(used)}, request input: {','.join(sent)}"
    return None


def _repeated(default: NDArray[Any], rows: int) -> NDArray[Any]:
    return np.repeat(default, rows, axis=0) if len(default) == 1 else default


def _shape(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"
