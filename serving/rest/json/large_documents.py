"""Large JSON documents, read piece by piece.

What a document takes beside itself is what it holds, and not an object for each number: dense arrays of numbers
become `Numbers`, other long lists `Items`. Between pieces, each of which takes about a millisecond, other threads have
their turn. The numbers of a piece are read by simdjson, whatever brackets stand between them, and the brackets of the
whole array are compared with those that its shape asks for.

https://simdjson.org
"""

import contextlib
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import simdjson
from numpy.typing import NDArray

from unroll.serving.protocol.status import StatusError, invalid
from unroll.serving.rest.json import tensors as json_tensors
from unroll.serving.rest.json import text as json_text
from unroll.serving.rest.json.numbers import Items, Numbers, Unread, narrowed

_PIECE = 32 << 10
_DEPTH = 300  # beyond the most dimensions of a tensor
_SPACE = re.compile(rb"[ \t\r\n]*")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_SCALAR = re.compile(rb"[^,\]} \t\r\n]*")
_WORDS = b"0123456789+-.eE \t\r\nNaIfinty"  # what numbers consist of, NaN and Infinity among them
_NUMERIC = _WORDS + b",[]"
_SPREAD = bytes.maketrans(b"[]", b"  ")
_OPEN, _CLOSE = b"[]"
_CLOSING = {"{": "}", "[": "]", '"': '"'}
_KINDS = {"i": np.int64, "u": np.uint64, "d": np.float64}

Pace = Callable[[], None]


def parse(body: bytes, pace: Pace) -> dict[str, Any]:
    """Reads the object that a request is, as `json_text.parse` does.

    Args:
        body: the document.
        pace: called between pieces.

    Returns:
        The object, with `Numbers` and `Items` for some of its lists.

    Raises:
        StatusError: INVALID_ARGUMENT.
    """
    reader = _Reader(body, pace)
    start = reader.space(3 if body.startswith(b"\xef\xbb\xbf") else 0)
    if start == len(body):
        raise invalid(json_text.EMPTY)
    value, _ = reader.value(start, 0)
    if not isinstance(value, dict):
        raise json_text.malformed(value, "Is not object")
    return value


class _Reader:
    def __init__(self, body: bytes, pace: Pace) -> None:
        self._body = body
        self._pace = pace
        self._parser = simdjson.Parser()
        self._vain = 0  # bytes looked at as numbers that were none

    def space(self, position: int) -> int:
        """The position behind white space."""
        return _SPACE.match(self._body, position).end()  # type: ignore[union-attr]

    def value(self, position: int, depth: int) -> tuple[Any, int]:
        """Reads the value that begins at a position, and returns it and the position behind it."""
        if depth > _DEPTH:
            raise invalid(json_text.TOO_DEEP)
        first = self._body[position : position + 1]
        if first == b"{":
            return self._object(position + 1, depth + 1)
        if first == b"[":
            return self._numbers(position) or self._array(position + 1, depth + 1)
        found = (_STRING if first == b'"' else _SCALAR).match(self._body, position)
        if found is None:
            raise json_text.not_json("Unterminated string", len(self._body))
        return json_text.scalar(found[0], position), found.end()

    def _object(self, position: int, depth: int) -> tuple[dict[str, Any], int]:
        members: dict[str, Any] = {}
        position = self.space(position)
        if self._body[position : position + 1] == b"}":
            return members, position + 1
        while True:
            self._pace()
            name = _STRING.match(self._body, position)
            if name is None:
                raise json_text.not_json("Expecting property name enclosed in double quotes", position)
            position = self.space(name.end())
            if self._body[position : position + 1] != b":":
                raise json_text.not_json("Expecting ':' delimiter", position)
            value, position = self.value(self.space(position + 1), depth)
            members.setdefault(json_text.scalar(name[0], name.start()), value)
            position = self.space(position)
            delimiter = self._body[position : position + 1]
            if delimiter not in (b",", b"}"):
                raise json_text.not_json("Expecting ',' delimiter", position)
            position = self.space(position + 1)
            if delimiter == b"}":
                return members, position

    def _array(self, position: int, depth: int) -> tuple[list[Any] | Items, int]:
        position = self.space(position)
        if self._body[position : position + 1] == b"]":
            return [], position + 1
        items = Items(self._items)
        while True:
            self._pace()
            small, length, delimiter = _small_items(self._body[position : position + _PIECE])
            if small:
                if delimiter == b"]" and not len(items):
                    return small, position + length + 1
                items.add((position, position + length), len(small))
                position = self.space(position + length + 1)
            else:  # an item that takes more than a piece, or is not a value
                item, position = self.value(self.space(position), depth)
                items.add([item], 1)
                position = self.space(position)
                delimiter = self._body[position : position + 1]
                position = self.space(position + 1)
            if delimiter == b"]":
                return items, position
            if delimiter != b",":
                raise json_text.not_json("Expecting ',' delimiter", position)

    def _items(self, start: int, end: int) -> list[Any]:
        """Reads once more what `_array` has read."""
        self._pace()
        return json_text.SCAN(f"[{_text(self._body[start:end])}]", 0)[0]

    def _numbers(self, start: int) -> tuple[Numbers, int] | None:
        """Reads a dense array of numbers; None for any other array."""
        if self._vain > len(self._body):
            return None
        position, depth = start, 0
        # Buffers that grow are moved by the system, where an array a piece would leave memory in shreds.
        runs: list[tuple[np.dtype[Any], bytearray] | Unread] = []
        brackets = bytearray()
        while True:
            self._pace()
            comma = self._body.find(b",", position + _PIECE)
            piece = self._body[position:comma] if comma >= 0 else self._body[position:]
            if foreign := piece.translate(None, _NUMERIC)[:1]:
                piece = piece[: piece.index(foreign)]
            length, depth = _end(piece, depth)
            if length is None and (foreign or comma < 0):
                break
            piece = piece[:length]
            numbers = self._flat(piece)
            if numbers is None:
                break
            _add(runs, numbers, position, piece, self._read_again)
            brackets += piece.translate(None, _WORDS)
            if length is not None:
                shape = _shape(brackets)
                if shape is None:
                    break
                parts = [run if isinstance(run, Unread) else np.frombuffer(run[1], run[0]) for run in runs]
                return Numbers(parts, shape), position + length
            brackets += b","
            position = comma + 1
        self._vain += position + len(piece) - start
        return None

    def _read_again(self, start: int, end: int) -> NDArray[Any]:
        self._pace()
        numbers = self._flat(self._body[start:end])
        assert numbers is not None, "these were numbers before"
        return numbers

    def _flat(self, piece: bytes) -> NDArray[Any] | None:
        text = b"[%b]" % piece.translate(_SPREAD)
        try:
            array: Any = self._parser.parse(text)
        except (ValueError, RuntimeError):
            return _unusual(text)
        for kind, dtype in _KINDS.items():
            with contextlib.suppress(TypeError, ValueError):  # another kind of numbers
                found = np.frombuffer(array.as_buffer(of_type=kind), dtype)
                return narrowed(found) if len(found) else None
        raise AssertionError("numbers are doubles at least")


def _add(
    runs: list[tuple[np.dtype[Any], bytearray] | Unread],
    numbers: NDArray[Any],
    position: int,
    piece: bytes,
    read: Callable[[int, int], NDArray[Any]],
) -> None:
    """Appends the numbers of a piece, or where they stand, if that takes less."""
    last = runs[-1] if runs else None
    if numbers.dtype.kind == "f" and numbers.nbytes > len(piece):
        if not isinstance(last, Unread):
            last = Unread(read)
            runs.append(last)
        last.add(position, position + len(piece), len(numbers))
        return
    if last is None or isinstance(last, Unread) or last[0] != numbers.dtype:
        last = (numbers.dtype, bytearray())
        runs.append(last)
    run = last[1]
    run += numbers.data


def _text(piece: bytes) -> str:
    return piece.decode("utf-8", "surrogateescape")


def _small_items(piece: bytes) -> tuple[list[Any], int, bytes]:
    """Reads the items that are whole within a piece, which begins with one.

    Returns:
        The items, how many bytes they are, and what stands behind them: a comma or a closing bracket.
    """
    text = _text(piece)
    try:
        items, end = _items_at_once(text) or _items_one_by_one(text)
    except RecursionError:
        raise invalid(json_text.TOO_DEEP) from None
    except ValueError:  # a whole number of more digits than Python converts
        raise invalid(json_text.TOO_BIG) from None
    read = text[:end]
    if "\\u" in read:
        json_text.check_surrogates(read)
    length = end if text.isascii() else len(json_text.utf8(read))
    return items, length, piece[length : length + 1]


def _items_at_once(text: str) -> tuple[list[Any], int] | None:
    """Tries whether the last comma behind what looks like the end of an item is the end of one."""
    closing = _CLOSING.get(text[:1], "")
    end = text.rfind(closing + ",") + len(closing)
    try:
        items, behind = json_text.SCAN(f"[{text[:end]}]", 0)
    except (StopIteration, json.JSONDecodeError):
        return None
    return (items, end) if items and behind == end + 2 else None


def _items_one_by_one(text: str) -> tuple[list[Any], int]:
    items: list[Any] = []
    start = end = 0
    try:
        while start == 0 or text[end] == ",":
            item, behind = json_text.SCAN(text, start)
            behind = json_text.SPACE.match(text, behind).end()  # type: ignore[union-attr]
            if text[behind : behind + 1] not in (",", "]"):
                break
            items.append(item)
            end = behind
            start = json_text.SPACE.match(text, end + 1).end()  # type: ignore[union-attr]
    except (StopIteration, json.JSONDecodeError):  # torn, or no value: whoever reads it alone will tell
        pass
    return items, end


def _unusual(text: bytes) -> NDArray[Any] | None:
    """Reads a list of numbers among which are such as simdjson does not read."""
    try:
        values = json_text.scalar(text, 0)
    except StatusError:
        return None
    return json_tensors.array(values) if values else None


def _end(piece: bytes, depth: int) -> tuple[int | None, int]:
    """Where in a piece the array ends that `depth` lists of are open before it, or else how many are behind it."""
    closing = piece.count(b"]")
    if closing < depth:
        return None, depth + piece.count(b"[") - closing
    marks = np.frombuffer(piece, np.uint8)
    depths = depth + np.cumsum((marks == _OPEN).astype(np.int8) - (marks == _CLOSE), dtype=np.int32)
    ends = np.flatnonzero(depths == 0)
    return (int(ends[0]) + 1, 0) if len(ends) else (None, int(depths[-1]))


def _shape(brackets: bytearray) -> list[int] | None:
    """The shape of the dense array whose brackets and commas these are; None if there is no such array."""
    depth = re.match(rb"\[*", brackets).end()  # type: ignore[union-attr]
    begin, end = depth - 1, brackets.find(b"]") + 1  # of the first list at a level
    shape = [end - begin - 1]
    if depth > _DEPTH or end <= begin or brackets.count(b",", begin, end) != shape[0] - 1:
        return None
    for level in range(2, depth + 1):
        dense = bytes(brackets[begin:end])
        begin, end = begin - 1, brackets.find(b"]" * level) + level
        size, rest = divmod(end - begin - 1, len(dense) + 1)
        if end < level or rest or not brackets.startswith(dense, end - 1 - len(dense)):
            return None
        if not _repeats(brackets, begin + 1, dense + b",", size - 1):
            return None
        shape.insert(0, size)
    return shape if end == len(brackets) else None


def _repeats(text: bytearray, start: int, unit: bytes, times: int) -> bool:
    """Whether a text holds a unit so many times from a position on, compared many units at a time."""
    many = max(1, _PIECE // len(unit))
    units = unit * many
    for _ in range(times // many):
        if not text.startswith(units, start):
            return False
        start += len(units)
    return text.startswith(unit * (times % many), start)
