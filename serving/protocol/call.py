"""One request on its way through the server, whichever endpoint it came to."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Literal

REQUEST_ID = "x-request-id"
_MAX_ID = 128


@dataclass(slots=True)
class Call:
    """What is known of a request besides its message.

    Args:
        path: `/package.Service/Method`, as gRPC names it; REST's requests carry the path of the gRPC method they are.
        entrypoint: gRPC's or REST's.
        metadata: gRPC metadata or HTTP headers, names in lower case.
        deadline: `loop.time()` at which the client stops waiting, or None.
        request_id: the caller's `x-request-id`, or a new one.
        peer: the clients whose it is, as far as they can be told apart.
        token_digest: SHA-256 of the caller's token, once somebody had to know it.
        model: name of the model that was asked for; filled in as soon as it is known.
        version: of the model, once one is chosen.
        signature: its name, once known.
        watched: whether the request is traffic to log: answered from inputs that a client sent.
        counted: whether it is a client's own, and not one of the server's to itself.
        examples: of an answered Classify, Regress or MultiInference.
        run_seconds: from queue to outputs, of an answered Predict, Classify or Regress.
    """

    path: str
    entrypoint: Literal["GRPC", "REST"] = "GRPC"
    metadata: Mapping[str, str] = field(default_factory=dict)
    deadline: float | None = None
    request_id: str = ""
    peer: Hashable = ""
    token_digest: bytes = b""
    model: str = ""
    version: int | None = None
    signature: str = ""
    watched: bool = False
    counted: bool = True
    examples: int = 0
    run_seconds: float = 0.0

    def __post_init__(self) -> None:
        sent = self.metadata.get(REQUEST_ID, "")
        usable = 0 < len(sent) <= _MAX_ID and sent.isascii() and sent.isprintable()
        self.request_id = sent if usable else f"{random.getrandbits(128):032x}"

    @property
    def method(self) -> str:
        return self.path.rpartition("/")[2]


Method = Callable[[bytes, Call], Awaitable[bytes]]
"""Answers one message with one; raises StatusError for a refusal."""

Stream = Callable[[AsyncIterator[bytes], Call], AsyncIterator[bytes]]
"""Answers a stream of messages with another."""
