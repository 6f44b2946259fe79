"""Answers as JSON, each number as TensorFlow Serving writes it.

Numbers have as few digits as bring the same float back, of 6 or 9 (double: 17), and a point or an exponent, so
that a client sees which are not whole numbers: 0.1, 2.0, 9e+06. NaN and infinities are written as such.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unroll.serving.protocol import dtypes, protos, tensors
from unroll.serving.protocol.status import invalid
from unroll.serving.rest.json.requests import Format
from unroll.serving.rest.json.text import base64_text
from unroll.serving.rest.json.types import SUPPORTED

Pace = Callable[[], None]
_PART = 2048
_NAMED = {"nan": "NaN", "-nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def predictions(message: bytes, form: Format, pace: Pace | None = None) -> bytes:
    """A PredictResponse as JSON.

    Args:
        message: the serialized response.
        form: `row`: a list of rows, each an object if there are several outputs. `column`: the outputs.
        pace: called now and then, where there is much to write.

    Raises:
        StatusError: INVALID_ARGUMENT, in TensorFlow Serving's words: there is no output, a type that JSON has no
            number for, or, for rows, outputs without the same number of rows.
    """
    outputs = protos.PredictResponse.FromString(message).outputs
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    arrays = {alias: _array(outputs[alias]) for alias in sorted(outputs)}
    if form == "column":
        columns = {alias: _column(array, alias, pace) for alias, array in arrays.items()}
        if len(columns) == 1:
            return _object("outputs", *columns.values())
        members = ",\n        ".join(f"{_quoted(alias)}: {column}" for alias, column in columns.items())
        return _object("outputs", f"{{\n        {members}\n    }}")
    _check_rows(arrays)
    if len(arrays) == 1:
        ((alias, array),) = arrays.items()
        return _object("predictions", f"[{', '.join(map(', '.join, _blocks(array, alias, pace)))}\n    ]")
    names = [_quoted(alias) for alias in arrays]
    size = max(_row_size(array) for array in arrays.values())
    objects = (
        ",\n            ".join(map("{}: {}".format, names, row))
        for blocks in zip(*(_blocks(array, alias, pace, size) for alias, array in arrays.items()), strict=True)
        for row in zip(*blocks, strict=True)
    )
    return _object(
        "predictions", "[" + ",".join(f"\n        {{\n            {one}\n        }}" for one in objects) + "\n    ]"
    )


def classifications(message: bytes, pace: Pace | None = None) -> bytes:
    """A ClassificationResponse as JSON: per example a list of `[label, score]`.

    Args:
        message: the serialized response.
        pace: as `predictions`.

    Raises:
        StatusError: INVALID_ARGUMENT: there is none.
    """
    result = protos.ClassificationResponse.FromString(message).result
    if not result.classifications:
        raise invalid("Cannot convert empty ClassificationResults to JSON")
    rows = [
        ", ".join(
            f"[{_quoted(one.label)}, {score}]"
            for one, score in zip(row.classes, _decimals(_floats(one.score for one in row.classes)), strict=True)
        )
        for row in _paced(result.classifications, pace)
    ]
    return _object("results", "[" + ", ".join(f"[{row}]" for row in rows) + "\n    ]")


def regressions(message: bytes, pace: Pace | None = None) -> bytes:
    """A RegressionResponse as JSON: one number an example.

    Args:
        message: the serialized response.
        pace: as `predictions`.

    Raises:
        StatusError: INVALID_ARGUMENT: there is none.
    """
    result = protos.RegressionResponse.FromString(message).result
    if not result.regressions:
        raise invalid("Cannot convert empty RegressionResults to JSON")
    values = _decimals(_floats(one.value for one in _paced(result.regressions, pace)))
    return _object("results", f"[{', '.join(values)}]")


def error(message: str) -> bytes:
    """What a refused request is answered."""
    return _object("error", _quoted(message))


def _paced(items: Iterable[Any], pace: Pace | None) -> Iterator[Any]:
    for item in items:
        if pace:
            pace()
        yield item


def _array(proto: Any) -> NDArray[Any]:
    try:
        if proto.dtype in SUPPORTED:
            return tensors.decode(proto)
    except ValueError:
        pass
    raise invalid(f"Failed to write JSON value for tensor type: {dtypes.name_of(proto.dtype)}")


def _check_rows(arrays: Mapping[str, NDArray[Any]]) -> None:
    rows = -1
    for alias, array in arrays.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {alias} has no shape information ")
        if rows not in (-1, len(array)):
            raise invalid(f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {rows}")
        rows = len(array)


def _column(array: NDArray[Any], alias: str, pace: Pace | None) -> str:
    if not array.ndim:
        return _texts(array, alias)[0]
    return f"[{', '.join(map(', '.join, _blocks(array, alias, pace)))}]"


def _row_size(array: NDArray[Any]) -> int:
    return max(1, math.prod(array.shape[1:]))


def _blocks(array: NDArray[Any], alias: str, pace: Pace | None, row_size: int = 0) -> Iterator[list[str]]:
    """The rows' texts, so many at a time that nobody else waits for the interpreter for long."""
    rows = max(1, _PART // (row_size or _row_size(array)))
    for start in range(0, len(array), rows):
        if pace:
            pace()
        block = array[start : start + rows]
        yield _nested(_texts(block, alias), array.shape[1:], len(block))


def _texts(array: NDArray[Any], alias: str) -> list[str]:
    if array.dtype.kind == "f":
        return _decimals(array)
    write: Callable[[Any], str] = str
    if array.dtype.kind == "O":
        write = _base64 if alias.endswith("_bytes") else _text
    elif array.dtype.kind == "b":
        write = _boolean
    return list(chain.from_iterable(map(write, part.tolist()) for part in _parts(array)))


def _nested(texts: list[str], shape: tuple[int, ...], rows: int = 1) -> list[str]:
    """Puts the elements of `rows` equal shapes into lists of lists."""
    for axis in reversed(range(len(shape))):
        size, count = shape[axis], rows * math.prod(shape[:axis])
        texts = [f"[{', '.join(texts[start * size : (start + 1) * size])}]" for start in range(count)]
    return texts


def _parts(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The elements, so many at a time that nobody else waits for the interpreter for long."""
    flat = array.ravel()
    return (flat[start : start + _PART] for start in range(0, len(flat), _PART))


def _decimals(array: NDArray[Any]) -> list[str]:
    return list(chain.from_iterable(map(_decimals_of_part, _parts(array))))


def _decimals_of_part(flat: NDArray[Any]) -> list[str]:
    values = flat.tolist()
    digits = 9 if flat.dtype == np.float32 else 17
    texts = (f"%.{digits}g," * len(values) % tuple(values)).split(",")
    with np.errstate(all="ignore"):
        scale = 10.0 ** (5 - np.floor(np.log10(np.abs(flat.astype(np.float64)))))
        short = (np.rint(flat * scale) / scale).astype(flat.dtype) == flat
    for position in np.flatnonzero(short).tolist():
        texts[position] = f"{values[position]:.6g}"
    return [text if "." in text or "e" in text else _NAMED.get(text) or text + ".0" for text in texts[: len(values)]]


def _floats(values: Any) -> NDArray[np.float32]:
    return np.fromiter(values, np.float32)


def _text(value: bytes) -> str:
    return _quoted(value.decode(errors="replace"))


def _base64(value: bytes) -> str:
    return f'{{"b64": "{base64_text(value)}"}}'


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _object(key: str, value: str) -> bytes:
    return f'{{\n    "{key}": {value}\n}}'.encode(errors="replace")
