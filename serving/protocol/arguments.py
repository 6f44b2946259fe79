"""What a client's arguments may be, checked where they are given: neither gRPC nor protobuf would name them."""

import math
import os
import re
import reprlib
from collections.abc import Mapping, Set, Sized
from typing import Any

import numpy as np

from unroll.errors import UserError

_HOST_PORT = re.compile(r"(\[[^\[\]\s]+\]|[^\s:/\[\]@]+):([0-9]{1,5})")
_SCHEME = re.compile(r"(unix|unix-abstract|dns|ipv4|ipv6|vsock|xds):/*[^\s/]\S*")  # of gRPC's, which checks the rest
_ID = re.compile("[!-~]([ -~]{0,126}[!-~])?")  # longer ones a server replaces by its own
_TOKEN = re.compile("[!-~]+")
_MAX_VERSION = 2**63 - 1
_MAX_SECONDS = 1e9  # gRPC takes what is much longer for no time at all


def shown(given: Any) -> str:
    """A value with its type, for an error.

    Example:
        >>> shown("a\\nb")
        "str: 'a\\\\nb'"
    """
    return f"{type(given).__name__}: {' '.join(reprlib.repr(given).split())}"


def check_address(name: str, given: Any) -> None:
    """Refuses what is neither `host:port` nor one of gRPC's other addresses.

    Raises:
        UserError: it is not one.
    """
    _check_type(name, given, str, "text")
    host_port = _HOST_PORT.fullmatch(given)
    if not given.isprintable() or not (0 < int(host_port[2]) < 1 << 16 if host_port else _SCHEME.fullmatch(given)):
        raise UserError(
            f"{name} {given!r}: expected the host:port of the server's gRPC port, as in 127.0.0.1:8500, or unix:/path"
        )


def check_name(name: str, given: Any) -> None:
    """Refuses what cannot be the name of a model, a signature, a label or an input.

    Raises:
        UserError: it is not one.
    """
    if not isinstance(given, str) or not given or not given.isprintable():
        raise UserError(f"{name}: expected a name of printable characters, received {shown(given)}")


def check_token(name: str, given: Any) -> None:
    """Refuses what cannot be sent as a token, without showing it.

    Raises:
        UserError: it cannot.
    """
    _check_type(name, given, str, "text", secret=True)
    if given and not _TOKEN.fullmatch(given):
        place = next(place for place, character in enumerate(given) if not _TOKEN.fullmatch(character))
        raise UserError(
            f"{name}: expected printable ASCII without blanks, received {given[place]!a} at character {place + 1} of "
            f"{len(given)}. Give the token alone: the text of a file ends with a line break"
        )


def check_request_id(given: Any) -> None:
    """Refuses what a server does not keep as a request's id.

    Raises:
        UserError: it does not.
    """
    if not isinstance(given, str) or not _ID.fullmatch(given):
        raise UserError(
            f"request_id: expected 1 to 128 characters of printable ASCII, no blank at the ends, received "
            f"{shown(given)}"
        )


def check_version(given: Any) -> None:
    """Refuses what is not a number of a version.

    Raises:
        UserError: it is not one.
    """
    whole = isinstance(given, int | np.integer) and not isinstance(given, bool)
    if not whole or not 0 <= given <= _MAX_VERSION:
        raise UserError(f"version: expected a whole number of 0 to {_MAX_VERSION}, received {shown(given)}")


def check_seconds(name: str, given: Any, least: float) -> None:
    """Refuses what is not a time to wait.

    Raises:
        UserError: it is not one.
    """
    number = isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool)
    if not number or not math.isfinite(given) or not least <= given <= _MAX_SECONDS:
        raise UserError(f"{name}: expected {least:g} to {_MAX_SECONDS:g} seconds, received {shown(given)}")


def check_bytes(name: str, given: Any, maximum: int) -> None:
    """Refuses what is not a number of bytes.

    Raises:
        UserError: it is not one.
    """
    if not isinstance(given, int) or isinstance(given, bool) or not 0 < given <= maximum:
        raise UserError(f"{name} is {given!r}. Give 1 to {maximum}")


def check_flag(name: str, given: Any) -> None:
    """Refuses what is neither True nor False.

    Raises:
        UserError: it is neither.
    """
    _check_type(name, given, bool, "True or False")


def check_file(name: str, given: Any) -> None:
    """Refuses what names no file.

    Raises:
        UserError: it names none.
    """
    _check_type(name, given, str | os.PathLike, "the path of a file")


def check_text(name: str, given: Any) -> None:
    """Refuses what is not text.

    Raises:
        UserError: it is not one.
    """
    _check_type(name, given, str, "text")


def check_list(name: str, given: Any, of: str, remedy: str = "Put it into a list") -> None:
    """Refuses one where a list of them is expected, and what is not one.

    Args:
        name: of the argument.
        given: its value.
        of: what the list holds.
        remedy: for who gave one of them.

    Raises:
        UserError: it is not a list.
    """
    if isinstance(given, str | bytes | Mapping):
        raise UserError(f"{name}: expected a list of {of}, received {shown(given)}. {remedy}")
    if not isinstance(given, Sized) or isinstance(given, Set) or getattr(given, "ndim", 1) == 0:
        raise UserError(f"{name}: expected a list of {of}, received {shown(given)}")


def _check_type(name: str, given: Any, kind: Any, wanted: str, secret: bool = False) -> None:
    if not isinstance(given, kind):
        raise UserError(f"{name}: expected {wanted}, received {type(given).__name__ if secret else shown(given)}")
