"""Methods of the clients that read like a task: `client.sentiment([...])`.

Whoever knows a kind of model writes a function with `@question`. It is a generator that yields what it wants to know,
`Predict` or `Describe`, is given the answers, and returns the method's result; the clients send and receive. One whose
result comes bit by bit is decorated with `@pieces`, yields each `Piece` among its questions, and returns nothing: the
method gives an iterator, of `AsyncClient` an asynchronous one. The clients find a function by its name: it was
imported, or it stands in the module `client` of a task's folder (see `unroll.plugins`).
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from numpy.typing import ArrayLike

from unroll import plugins

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Predict:
    """Runs a signature; answered with a `Prediction`.

    Args:
        inputs: by name, as `Client.predict` takes them.
        signature: its name.
        version: a version number; the server's choice where None.
    """

    inputs: Mapping[str, ArrayLike]
    signature: str = "serving_default"
    version: int | None = None


@dataclass(frozen=True)
class Describe:
    """What a version says of itself in its signature `describe`; answered with a dictionary.

    Args:
        version: a version number.
    """

    version: int


@dataclass(frozen=True)
class Piece:
    """A part of a result, handed on as soon as it is there.

    Args:
        value: whatever the method's iterator gives.
    """

    value: Any


Inquiry = Generator[Predict | Describe, Any, T]
Pieces = Generator[Predict | Describe | Piece, Any, None]

_QUESTIONS: dict[str, Callable[..., Inquiry[Any] | Pieces]] = {}
_IN_PIECES: set[str] = set()


def question(function: Callable[P, Inquiry[T]]) -> Callable[P, Inquiry[T]]:
    """Decorator that makes a function a method of the clients, by its name.

    Raises:
        ValueError: another function of that name is one.

    Example:
        >>> @question  # doctest: +SKIP
        ... def shout(texts: list[str]) -> Inquiry[list[str]]:
        ...     answer = yield Predict({"text": texts})
        ...     return answer["loud"].tolist()
    """
    _register(function)
    return function


def pieces(function: Callable[P, Pieces]) -> Callable[P, Pieces]:
    """Decorator as `question`, of a function whose result comes in `Piece`s.

    Raises:
        ValueError: as of `question`.

    Example:
        >>> @pieces  # doctest: +SKIP
        ... def count(texts: list[str]) -> Pieces:
        ...     for text in texts:
        ...         answer = yield Predict({"text": [text]})
        ...         yield Piece(answer["words"].item())
    """
    _register(function)
    _IN_PIECES.add(function.__name__)
    return function


def come_in_pieces(name: str) -> bool:
    """Whether the result of the method of that name is an iterator."""
    return name in _IN_PIECES


def _register(function: Callable[..., Any]) -> None:
    known = _QUESTIONS.get(function.__name__)
    if known is not None and known.__module__ != function.__module__:
        raise ValueError(f"the clients have a method {function.__name__!r} already, of {known.__module__}")
    _QUESTIONS[function.__name__] = function


def known_questions() -> dict[str, Callable[..., Inquiry[Any] | Pieces]]:
    """All that were imported or stand in a task's folder, by name."""
    for _ in plugins.beside("client"):  # whose import makes them known
        pass
    return _QUESTIONS
