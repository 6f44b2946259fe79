"""Requests to warm a model up with, made up from its signatures."""

import base64
import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from unroll.serving.engine.session_engine import SessionEngine, Signature, TensorSpec
from unroll.serving.protocol.model_spec import CLASSIFY, REGRESS
from unroll.serving.protocol.status import StatusError

_PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
_TEXTS = (b"A text.", _PICTURE, b"")
_SIZES = (2, 16, 64, 256)  # of dimensions that are free

Request = tuple[str, Mapping[str, np.ndarray]]


def made_up(engine: SessionEngine) -> tuple[list[Request], list[str]]:
    """A request of each signature that answers one of some.

    Returns:
        The requests, one row each, and the signatures for which none was found.
    """
    requests: list[Request] = []
    left_out = []
    for signature in engine.signatures.values():
        if not signature.inputs:
            continue
        found = next((inputs for inputs in _candidates(signature) if _answers(engine, signature, inputs)), None)
        if found is None:
            left_out.append(signature.name)
        else:
            requests.append((signature.name, found))
    return requests, left_out


def _candidates(signature: Signature) -> Iterator[dict[str, np.ndarray]]:
    examples = signature.method in (CLASSIFY, REGRESS)  # an empty tf.Example has no bytes
    for size, text in itertools.product(_SIZES, (b"",) if examples else _TEXTS):
        yield {alias: _values(spec, size, text) for alias, spec in signature.inputs.items()}


def _values(spec: TensorSpec, size: int, text: bytes) -> np.ndarray:
    first, *rest = spec.shape if spec.shape else (None,) if spec.shape is None else (0,)
    shape = [] if spec.shape == () else [first or 1, *(one or size for one in rest)]
    if spec.dtype == object:
        return np.full(shape, text, object)
    return np.zeros(shape, spec.dtype)


def _answers(engine: SessionEngine, signature: Signature, inputs: Mapping[str, np.ndarray]) -> bool:
    try:
        engine.run(signature.name, [inputs[alias] for alias in signature.inputs])
    except (StatusError, ValueError, TypeError):
        return False
    return True
