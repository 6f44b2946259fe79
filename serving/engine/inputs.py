"""The tensors of a PredictRequest to arrays, checked against the signature that they ask for."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unroll.serving.engine.session_engine import Signature, TensorSpec
from unroll.serving.protocol import tensors
from unroll.serving.protocol.status import invalid

Feeds = list[NDArray[Any]]


def predict_feeds(
    signature: Signature,
    inputs: Mapping[str, Any],
    strict_shapes: bool = False,
    decode: Callable[[Any], NDArray[Any]] = tensors.decode,
) -> Feeds:
    """Reads the inputs of a PredictRequest.

    An input that was left out takes the signature's default. Where the rows of several requests may run as one, a
    default of one row stands for each row of the request.

    Args:
        signature: what is asked for.
        inputs: TensorProtos, or what else `decode` takes, by input name.
        strict_shapes: whether shapes other than the signature's, and inputs that differ in rows where rows of several
            requests may run as one, are refused. TensorFlow Serving leaves that to the ops.
        decode: reads one of `inputs`; raises ValueError.

    Returns:
        Arrays in the signature's order.

    Raises:
        StatusError: INVALID_ARGUMENT, in TensorFlow Serving's words where it checks the same.
    """
    specs = signature.inputs
    if len(inputs) == len(specs):
        feeds = []
        for alias, spec in specs.items():
            if (proto := inputs.get(alias)) is None:
                break
            feeds.append(_read(signature, alias, spec, proto, decode))
        else:
            if strict_shapes:
                _check_shapes(signature, dict(zip(specs, feeds, strict=True)))
            return feeds
    if mismatch := _mismatch(signature, inputs):
        raise invalid(mismatch)
    sent = {
        alias: _read(signature, alias, spec, inputs[alias], decode) for alias, spec in specs.items() if alias in inputs
    }
    if strict_shapes:
        _check_shapes(signature, sent)
    rows = {array.shape[:1] for array in sent.values()}
    if not signature.batchable or len(rows) > 1 or () in rows:
        return [sent[alias] if alias in sent else signature.defaults[alias] for alias in specs]
    ((count,),) = rows or {(1,)}
    return [sent[alias] if alias in sent else _repeated(signature.defaults[alias], count) for alias in specs]


def _read(
    signature: Signature, alias: str, spec: TensorSpec, sent: Any, decode: Callable[[Any], NDArray[Any]]
) -> NDArray[Any]:
    try:
        array = decode(sent)
    except tensors.UnsentError as error:
        raise invalid(f"tensor parsing error: {alias}: {error}") from None
    except ValueError:
        raise invalid(f"tensor parsing error: {alias}") from None
    if array.dtype != spec.dtype:
        wanted, given = tensors.data_type_of(spec.dtype), tensors.data_type_of(array.dtype)
        position = list(signature.inputs).index(alias)
        raise invalid(f"Expects arg[{position}] to be {wanted} but {given} is provided")
    return array


def _check_shapes(signature: Signature, sent: Mapping[str, NDArray[Any]]) -> None:
    for alias, array in sent.items():
        spec = signature.inputs[alias]
        if not spec.admits(array.shape):
            raise invalid(
                f"Input {alias!r}: expected shape {_shape(spec.shape or ())}, received {_shape(array.shape)}."
            )
    if signature.batchable and len({len(array) for array in sent.values()}) > 1:
        counts = ", ".join(f"{alias}={len(array)}" for alias, array in sent.items())
        raise invalid(f"Inputs must have the same number of rows. Received: {counts}.")


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
                f"and no default value provided. Inputs expected to be in the request {{{','.join(sent)}}}, or "
                f"default input alias set: {','.join(defaults)}"
            )
    used = [alias for alias in sent if alias in signature.inputs]
    if len(used) < len(sent):
        return f"Inputs contains invalid name. Used request inputs: {','.join(used)}, request input: {','.join(sent)}"
    return None


def _repeated(default: NDArray[Any], rows: int) -> NDArray[Any]:
    # Rows of no memory: however many are asked for, only what runs at a time is ever written out.
    return np.broadcast_to(default, (rows, *default.shape[1:])) if len(default) == 1 else default


def _shape(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"
