"""The client for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Self, TypeVar

import grpc
import grpc.aio
from numpy.typing import ArrayLike

from unroll.serving.client.base_client import BaseClient
from unroll.serving.client.operation import Operation, Request
from unroll.serving.client.questions import Piece, Pieces
from unroll.serving.protocol.messages import Classes, Example, Prediction, SignatureInfo

T = TypeVar("T")


class AsyncClient(BaseClient):
    """`Client` for asyncio: the same methods with the same arguments, to be awaited. Tasks of one event loop share it.

    Make it inside the event loop. A task that is cancelled cancels its call on the server.

    Args: those of `BaseClient`.

    Example:
        >>> async def main():
        ...     async with AsyncClient("127.0.0.1:8500", model="sentiment") as client:
        ...         return await asyncio.gather(*(client.sentiment([text]) for text in ("Fine.", "Dreadful.")))
        >>> asyncio.run(main())  # doctest: +SKIP
        [[('positive', 0.97)], [('negative', 0.97)]]
    """

    _transport = grpc.aio

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    async def predict(
        self,
        inputs: Mapping[str, ArrayLike],
        signature: str = "serving_default",
        version: int | None = None,
        request_id: str | None = None,
        label: str | None = None,
    ) -> Prediction:
        """Runs a signature."""
        return await self._run(self._predict(inputs, signature, version, label, request_id))

    async def classify(
        self,
        examples: Sequence[Example],
        signature: str = "classify",
        version: int | None = None,
        request_id: str | None = None,
        label: str | None = None,
    ) -> list[Classes]:
        """Runs a Classify signature."""
        return await self._run(self._classify(examples, signature, version, label, request_id))

    async def regress(
        self,
        examples: Sequence[Example],
        signature: str = "regress",
        version: int | None = None,
        request_id: str | None = None,
        label: str | None = None,
    ) -> list[float]:
        """Runs a Regress signature."""
        return await self._run(self._regress(examples, signature, version, label, request_id))

    async def multi_inference(
        self,
        examples: Sequence[Example],
        classify: Sequence[str] = (),
        regress: Sequence[str] = (),
        version: int | None = None,
        request_id: str | None = None,
        label: str | None = None,
    ) -> dict[str, list[Classes] | list[float]]:
        """Runs several Classify and Regress signatures on the same examples."""
        return await self._run(self._multi_inference(examples, classify, regress, version, label, request_id))

    async def metadata(self) -> dict[str, SignatureInfo]:
        """The model's signatures by name."""
        return await self._run(self._metadata_of())

    async def status(self) -> dict[int, str]:
        """States by version."""
        return await self._run(self._status())

    async def reload_config(self, config: str) -> None:
        """Has the server serve what a configuration says instead of what it serves."""
        await self._run(self._reload_config(config))

    async def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Returns once a version is AVAILABLE."""
        await self._run(self._wait_until_ready(timeout))

    async def _run(self, operation: Operation[T]) -> T:
        try:
            step = next(operation)
            while True:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                    step = next(operation)
                    continue
                try:
                    answer = await self._answer(step)
                except grpc.RpcError as error:
                    step = operation.throw(error)
                else:
                    step = operation.send(answer)
        except StopIteration as done:
            return done.value

    async def _in_pieces(self, question: Pieces) -> AsyncIterator[Any]:
        answer = None
        with closing(question):
            while True:
                try:
                    step = question.send(answer)
                except StopIteration:
                    return
                if isinstance(step, Piece):
                    yield step.value
                answer = None if isinstance(step, Piece) else await self._run(self._told(step))

    async def _answer(self, asked: Request) -> bytes:
        given: Any = {"timeout": asked.timeout, "metadata": asked.metadata}
        if asked.address is None:
            return await self._method(asked.path)(asked.message, **given)
        async with self._open_aside(asked.address) as channel:
            return await channel.unary_unary(asked.path)(asked.message, **given)
