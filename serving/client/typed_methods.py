"""What lets a client answer `client.sentiment([...])`: it finds the question by its name, and asks it."""

import functools
import json
import time
from collections.abc import Generator, Mapping
from typing import Any, TypeVar

from numpy.typing import ArrayLike

from unroll.errors import UserError
from unroll.serving.client.questions import Describe, Inquiry, Pieces, Predict, come_in_pieces, known_questions

T = TypeVar("T")
Steps = Generator[Any, Any, T]


class TypedMethods:
    """The methods that `unroll.serving.client.questions` knows, for a client that predicts and runs operations."""

    timeout: float

    def __init__(self) -> None:
        self._descriptions: dict[int, dict[str, Any]] = {}  # of the version that was asked last

    def __getattr__(self, name: str) -> Any:
        function = None if name.startswith("_") else known_questions().get(name)
        if function is None:
            raise AttributeError(f"{type(self).__name__} has no method {name!r}")

        @functools.wraps(function)
        def method(*given: Any, **named: Any) -> Any:
            asked: Any = self._of_its_kind(name, function(*given, **named))
            return self._in_pieces(asked) if come_in_pieces(name) else self._run(self._answer_to(asked))

        return method

    def _of_its_kind(self, name: str, question: Steps[T]) -> Steps[T]:
        """The same question, of a model that may be of another kind."""
        try:
            return (yield from question)
        except KeyError as missing:
            raise UserError(
                f"{self.model}: its answer has no {missing}, which {name}() reads: it is a model of another kind. "
                "Ask it with predict()"
            ) from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *known_questions()})

    def _run(self, operation: Steps[Any]) -> Any:
        """Sends what an operation yields, each client in its own way, and returns what it returns."""
        raise NotImplementedError

    def _in_pieces(self, question: Pieces) -> Any:
        """An iterator of the pieces that a question yields, each client's own kind."""
        raise NotImplementedError

    def _answer_to(self, question: Inquiry[T]) -> Steps[T]:
        deadline = time.monotonic() + self.timeout
        try:
            step = next(question)
            while True:
                step = question.send((yield from self._told(step, deadline)))
        except StopIteration as done:
            return done.value

    def _told(self, step: Predict | Describe, deadline: float | None = None) -> Steps[Any]:
        """What a question wants to know."""
        deadline = deadline or time.monotonic() + self.timeout
        if isinstance(step, Describe):
            return (yield from self._described_as(step.version, deadline))
        return (yield from self._predict(step.inputs, step.signature, step.version, deadline=deadline))

    def _described_as(self, version: int, deadline: float) -> Steps[dict[str, Any]]:
        if version not in self._descriptions:
            answer = yield from self._predict({}, "describe", version, deadline=deadline)
            self._descriptions = {version: json.loads(answer["json"].item())}
        return self._descriptions[version]

    def _predict(
        self,
        inputs: Mapping[str, ArrayLike],
        signature: str = "serving_default",
        version: int | None = None,
        *,
        deadline: float | None = None,
    ) -> Steps[Any]:
        """Runs a signature, step by step."""
        raise NotImplementedError
