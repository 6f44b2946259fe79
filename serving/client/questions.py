"""Methods of the clients that read like a task: `client.sentiment([...])`.

Whoever knows a kind of model writes a function with `@question`. It is a generator that yields what it wants to know,
`Predict` or `Describe`, is given the answers, and returns the method's result; the clients send and receive. They
find it by its name: it was imported, or it stands in the module `client` of a task's folder (see `unroll.plugins`).
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


Inquiry = Generator[Predict | Describe, Any, T]

_QUESTIONS: dict[str, Callable[..., Inquiry[Any]]] = {}


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
    known = _QUESTIONS.get(function.__name__)
    if known is not None and known.__module__ != function.__module__:
        raise ValueError(f"the clients have a method {function.__name__!r} already, of {known.__module__}")
    _QUESTIONS[function.__name__] = function
    return function


def known_questions() -> dict[str, Callable[..., Inquiry[Any]]]:
    """All that were imported or stand in a task's folder, by name."""
    for _ in plugins.beside("client"):  # whose import makes them known
        pass
    return _QUESTIONS
