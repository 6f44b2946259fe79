"""What HTTP/2 asks of the fields of a request and of its trailers: RFC 9113, sections 8.1 to 8.3.

What breaks these rules may be one request to a proxy in front and another one here. So it is refused.
"""

import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

_REQUIRED = (":method", ":scheme", ":path")
_PSEUDO = frozenset((*_REQUIRED, ":authority"))
_SINGLE = _PSEUDO | {"host", "content-length"}
_OF_CONNECTIONS = frozenset({"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"})
_NO_NAME = re.compile(r"[^!#$%&'*+\-.^_`|~0-9a-z]")
_SIZE = re.compile(r"[0-9]{1,18}")
_REMEMBERED_NAMES = 128  # lists of them, of 16 KiB at the most


class _Names(NamedTuple):
    """The names of a header block, and why they cannot be those of a request or of trailers."""

    names: tuple[str, ...]
    repeat: bool
    no_request: str
    no_trailers: str


class Headers(dict[str, str]):
    """Fields of a header block by name, pseudo-headers too; values of a repeated one are joined by commas.

    Args:
        pairs: names and values, in their order.
    """

    __slots__ = ("content_length", "no_request", "no_trailers")

    def __init__(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        names, repeat, no_request, no_trailers = _read_names(tuple([name for name, _ in pairs]))
        text = b"\0".join([value for _, value in pairs]).decode("latin-1")
        values = text.split("\0")
        if repeat:
            for name, value in zip(names, values, strict=False):
                self[name] = f"{self[name]},{value}" if name in self else value
        else:
            self.update(zip(names, values, strict=False))
        fault = ""
        if "\n" in text or "\r" in text or len(values) > max(len(names), 1):
            fault = "a value of more than one line"
        elif self.get("te", "trailers").lower() != "trailers":
            fault = f"te: {self['te']}"
        self.content_length: int | None = None
        """Bytes of the body, where they are told beforehand."""
        self.no_request = no_request or fault or self._no_request()
        """Why this begins no request; empty where it does."""
        self.no_trailers = no_trailers or fault
        """Why this ends no request; empty where it does."""

    def _no_request(self) -> str:
        if self[":path"][:1] not in ("/", "*"):
            return f":path {self[':path']}"
        host = self.get("host")
        if host is not None and host.lower() != self.get(":authority", host).lower():
            return f"host {host} besides :authority {self[':authority']}"
        length = self.get("content-length")
        if length is not None:
            if not _SIZE.fullmatch(length):
                return f"content-length: {length}"
            self.content_length = int(length)
        return ""


@functools.lru_cache(_REMEMBERED_NAMES)
def _read_names(raw: tuple[bytes, ...]) -> _Names:
    """Clients send the same names again and again, whatever the values are."""
    names = tuple(name.decode("latin-1") for name in raw)
    regular = [name for name in names if not name.startswith(":")]
    pseudo = [name for name in names if name.startswith(":")]
    fault = ""
    if "" in regular or _NO_NAME.search("".join(regular)):
        fault = "an invalid name"
    for name in _OF_CONNECTIONS.intersection(regular):
        fault = name
    no_request = fault
    if names[: len(pseudo)] != tuple(pseudo):
        no_request = "pseudo-headers behind other fields"
    seen: set[str] = set()
    for name in names:
        if name in seen and name in _SINGLE:
            no_request = f"{name} twice"
        seen.add(name)
    for name in pseudo:
        if name not in _PSEUDO:
            no_request = name
    for name in _REQUIRED:
        if name not in pseudo:
            no_request = f"no {name}"
    return _Names(names, len(seen) < len(names), no_request, fault or "".join(pseudo[:1]))
