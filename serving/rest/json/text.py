"""JSON as TensorFlow Serving reads it: what it accepts, and what it says of what it refuses.

TensorFlow Serving parses with RapidJSON: NaN and Infinity are numbers, what follows the document is ignored, and
bytes that are not UTF-8 pass through. What is wrong with a document that is not JSON is said in Python's words.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import Any

from unroll.serving.protocol.status import StatusError, invalid
from unroll.serving.rest.json.numbers import LISTS

_DEBUG_BYTES = 256
_MAX_STRING = 1024  # of a string in an error, which is cut there anyway


class Infinite(float):
    """NaN or an infinity that a document names, unlike a number too big for a double, which Python reads as one."""


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of members of one name, RapidJSON finds the first."""
    members = dict(pairs)
    if len(members) < len(pairs):
        members.update(reversed(pairs))
    return members


_DECODER = json.JSONDecoder(parse_constant=Infinite, object_pairs_hook=_first_wins)
SCAN: Callable[[str, int], tuple[Any, int]] = _DECODER.scan_once  # type: ignore[attr-defined]
"""Reads the value at a position of a text, which may be the begin of a longer one."""

SPACE = re.compile(r"[ \t\n\r]*")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
NOT_JSON = "JSON Parse error: "
EMPTY = NOT_JSON + "The document is empty"
TOO_BIG = NOT_JSON + "Number too big to be stored in double."
TOO_DEEP = NOT_JSON + "Lists and objects are nested too deeply."


def parse(body: bytes) -> dict[str, Any]:
    """Reads the object that a request is.

    Bytes that are not UTF-8 become lone surrogates, which `utf8` turns into the same bytes again.

    Raises:
        StatusError: INVALID_ARGUMENT, in TensorFlow Serving's words.
    """
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    start = SPACE.match(text).end()  # type: ignore[union-attr]
    if start == len(text):
        raise invalid(EMPTY)
    try:
        value, _ = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise invalid(f"{NOT_JSON}{error}") from None
    except ValueError:  # a whole number of more digits than Python converts
        raise invalid(TOO_BIG) from None
    except RecursionError:
        raise invalid(TOO_DEEP) from None
    if "\\u" in text:
        check_surrogates(text)
    if not isinstance(value, dict):
        raise malformed(value, "Is not object")
    return value


def scalar(token: bytes, position: int) -> Any:
    """Reads a value that is known to end where the token does, if it is one.

    Args:
        token: the value.
        position: where it stands, for the error.

    Raises:
        StatusError: INVALID_ARGUMENT.
    """
    text = token.decode("utf-8", "surrogateescape")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise not_json(error.msg, position + error.pos) from None
    except ValueError:  # a whole number of more digits than Python converts
        raise invalid(TOO_BIG) from None
    if "\\u" in text:
        check_surrogates(text)
    return value


def not_json(what: str, position: int) -> StatusError:
    """What is wrong with a document, and at which of its bytes."""
    return invalid(f"{NOT_JSON}{what} (byte {position})")


def utf8(text: str) -> bytes:
    """The bytes of a string of a parsed document."""
    return text.encode("utf-8", "surrogateescape")


def is_base64(value: Any) -> bool:
    """Whether a value is `{"b64": "..."}`."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def unbase64(value: Any) -> bytes:
    """Reads `{"b64": "..."}`. Padding may be missing, and white space may stand anywhere.

    Raises:
        StatusError: INVALID_ARGUMENT.
    """
    if not is_base64(value):
        raise malformed(value, "not formatted correctly for base64 data")
    digits = value["b64"]
    try:
        return binascii.a2b_base64(digits, strict_mode=True)
    except ValueError:
        digits = "".join(digits.split())
    try:
        return binascii.a2b_base64(digits + "=" * (-len(digits) % 4), strict_mode=True)
    except ValueError:
        raise invalid("Unable to base64 decode") from None


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def malformed(value: Any, what: str) -> StatusError:
    return invalid(f"JSON Value: {debug(value)} {what}")


def kind(value: Any) -> str:
    """RapidJSON's name of a value's type."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return str(value)
    kinds: dict[type, str] = {dict: "Object", str: "String", **dict.fromkeys(LISTS, "Array")}
    return kinds.get(type(value), "Number")


def debug(value: Any) -> str:
    """A value as errors show it: objects on several lines, and no more tokens once 256 bytes are full."""
    parts: list[str] = []
    left = _DEBUG_BYTES

    def put(piece: str) -> bool:
        nonlocal left
        parts.append(piece)
        left -= len(utf8(piece))
        return left > 0

    def show(value: Any, before: str, depth: int) -> bool:
        """Appends a value after what separates it from the one before; False once the limit is reached."""
        if isinstance(value, LISTS):
            if not put(before + "["):
                return False
            return all(show(item, ", " if turn else "", depth + 1) for turn, item in enumerate(value)) and put("]")
        if isinstance(value, dict):
            if not put(before + "{"):
                return False
            indent = "\n" + "    " * (depth + 1)
            for turn, (name, item) in enumerate(value.items()):
                if not (put(("," if turn else "") + indent + _quoted(name)) and show(item, ": ", depth + 1)):
                    return False
            return put(("\n" + "    " * depth if value else "") + "}")
        return put(before + _scalar(value))

    show(value, "", 0)
    return "".join(parts).encode("utf-8", "replace").decode()


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        return repr(value).replace("e+", "e").replace("e-0", "e-")
    return json.dumps(value)


def _quoted(text: str) -> str:
    return json.dumps(text[:_MAX_STRING], ensure_ascii=False)


def check_surrogates(text: str) -> None:
    """Refuses half of a character that takes two escapes: it cannot be written as UTF-8."""
    high_end = -1  # where a first half ended that still lacks its second
    for escape in _ESCAPE.finditer(text):
        code = int(escape[1], 16) if escape[1] else 0
        is_second = 0xDC00 <= code < 0xE000
        if is_second != (high_end == escape.start()) or (high_end >= 0 and not is_second):
            raise invalid("JSON Parse error: The surrogate pair in string is invalid.")
        high_end = escape.end() if 0xD800 <= code < 0xDC00 else -1
    if high_end >= 0:
        raise invalid("JSON Parse error: The surrogate pair in string is invalid.")
