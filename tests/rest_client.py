"""Asks a REST endpoint."""

import contextlib
import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        assert self.json.keys() == {"error"}
        return self.json["error"]


def ask(port: int, verb: str, path: str, body: Any = None, tls: ssl.SSLContext | None = None, **headers: str) -> Reply:
    """Sends a request; what is not bytes goes as JSON. Underscores in header names stand for dashes."""
    if tls:
        connection: http.client.HTTPConnection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=tls)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(verb, path, data, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
