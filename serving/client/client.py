"""A client for Unroll's server and for any TensorFlow Serving. It needs no TensorFlow."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Self, TypeVar

import grpc
from numpy.typing import ArrayLike

from unroll.serving.client.base_client import BaseClient
from unroll.serving.client.operation import Operation, Request
from unroll.serving.client.questions import Piece, Pieces
from unroll.serving.protocol.messages import (
    Classes,
    Example,
    Prediction,
    ServingError,
    SignatureInfo,
    TensorInfo,
)

__all__ = ["Client", "Prediction", "ServingError", "SignatureInfo", "TensorInfo"]
T = TypeVar("T")


class Client(BaseClient):
    """Asks one model on one server, over one connection. Threads may share it.

    Calls that find the server unavailable are tried again, with a growing pause, within the timeout; others never
    are. Every method raises `ServingError` where the server refused the request or did not answer in time, and
    `UserError` where its arguments cannot be sent. `AsyncClient` is the same for asyncio.

    Args: those of `BaseClient`.

    Example:
        >>> with Client("127.0.0.1:8500", model="sentiment") as client:  # doctest: +SKIP
        ...     answer = client.predict({"text": ["A fine film.", "Dreadful."]})
        >>> answer["label"]  # doctest: +SKIP
        array(['positive', 'negative'], dtype=object)
    """

    _transport = grpc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def predict(
        self,
        inputs: Mapping[str, ArrayLike],
        signature: str = "serving_default",
        version: int | None = None,
        request_id: str | None = None,
        label: str | None = None,
    ) -> Prediction:
        """Runs a signature.

        Args:
            inputs: arrays or lists by input name; optional ones (see `metadata`) may be left out. Text may
                be str; numbers are converted to the signature's own type.
            signature: its name.
            version: a version number; the server's choice where None.
            request_id: your own id of the request; a new one where None.
            label: a version's label, such as `stable`, instead of a number.

        Returns:
            Outputs by name. Strings are `str`; an output named `*_bytes`, or with a string that is not UTF-8, holds
            `bytes` instead.
        """
        return self._run(self._predict(inputs, signature, version, label, request_id))

    def classify(
        self,
        examples: Sequence[Example],
        signature: str = "classify",
        version: int | None = None,
        request_id: str | None = None,
        label: str | None = None,
    ) -> list[Classes]:
        """Runs a Classify signature.

        Args:
            examples: a text each, or features by name: str, bytes, float, int, or lists of one of these.
                A text alone is the feature `text`.
            signature: its name.
            version: a version number; the server's choice where None.
            request_id: your own id of the request; a new one where None.
            label: a version's label, instead of a number.

        Returns:
            For each example its classes with their scores, in the model's order.
        """
        return self._run(self._classify(examples, signature, version, label, request_id))

    def regress(
        self,
        examples: Sequence[Example],
        signature: str = "regress",
        version: int | None = None,
        request_id: str | None = None,
        label: str | None = None,
    ) -> list[float]:
        """Runs a Regress signature: a value for each example. Arguments as in `classify`."""
        return self._run(self._regress(examples, signature, version, label, request_id))

    def multi_inference(
        self,
        examples: Sequence[Example],
        classify: Sequence[str] = (),
        regress: Sequence[str] = (),
        version: int | None = None,
        request_id: str | None = None,
        label: str | None = None,
    ) -> dict[str, list[Classes] | list[float]]:
        """Runs several Classify and Regress signatures on the same examples.

        Args:
            examples: as in `classify`.
            classify: names of Classify signatures.
            regress: names of Regress signatures.
            version: a version number; the server's choice where None.
            request_id: your own id of the request; a new one where None.
            label: a version's label, instead of a number.

        Returns:
            By signature what `classify` or `regress` returns.
        """
        return self._run(self._multi_inference(examples, classify, regress, version, label, request_id))

    def metadata(self) -> dict[str, SignatureInfo]:
        """The model's signatures by name."""
        return self._run(self._metadata_of())

    def status(self) -> dict[int, str]:
        """States by version: START, LOADING, AVAILABLE, UNLOADING or END."""
        return self._run(self._status())

    def reload_config(self, config: str) -> None:
        """Has the server serve what a configuration says instead of what it serves.

        Args:
            config: what a `--model_config_file` holds.

        Raises:
            UserError: it is not a ModelServerConfig in protobuf's text format.
        """
        self._run(self._reload_config(config))

    def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Returns once a version is AVAILABLE.

        Raises:
            ServingError: none is after `timeout` seconds.
        """
        self._run(self._wait_until_ready(timeout))

    def _run(self, operation: Operation[T]) -> T:
        try:
            step = next(operation)
            while True:
                if isinstance(step, float):
                    time.sleep(step)
                    step = next(operation)
                    continue
                try:
                    answer = self._answer(step)
                except grpc.RpcError as error:
                    step = operation.throw(error)
                else:
                    step = operation.send(answer)
        except StopIteration as done:
            return done.value

    def _in_pieces(self, question: Pieces) -> Iterator[Any]:
        answer = None
        with closing(question):
            while True:
                try:
                    step = question.send(answer)
                except StopIteration:
                    return
                if isinstance(step, Piece):
                    yield step.value
                answer = None if isinstance(step, Piece) else self._run(self._told(step))

    def _answer(self, asked: Request) -> bytes:
        given: Any = {"timeout": asked.timeout, "metadata": asked.metadata}
        if asked.address is None:
            return self._method(asked.path)(asked.message, **given)
        with self._open_aside(asked.address) as channel:
            return channel.unary_unary(asked.path)(asked.message, **given)
