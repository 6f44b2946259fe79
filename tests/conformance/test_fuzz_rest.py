"""Any request at all is answered, and never by a 500.

FUZZ_EXAMPLES=25000 pytest tests/conformance/test_fuzz_rest.py
"""

import contextlib
import http.client
import json
import os
import socket
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rest_fixtures import Rest

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
fuzz = settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**65), 2**65), st.floats(), st.text(max_size=8),
    st.sampled_from(["good", {"b64": "aGVsbG8="}, {"b64": "?"}, 1, 0.5, 10**400]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["x", "a", "b", "f", "text", "data", "name", "n", "b64"]), inner, max_size=4),
    ),
    max_leaves=12,
)
tensors = st.one_of(
    st.lists(st.lists(st.floats(width=32), min_size=2, max_size=2), min_size=1, max_size=3),
    st.lists(st.text(max_size=5), min_size=1, max_size=3),
    st.lists(st.fixed_dictionaries({"a": st.lists(st.floats(), min_size=2, max_size=2), "b": scalars}), max_size=3),
    values,
)
names = ["serving_default", "classify", "sums", "pick", "echo", "scalar", "raw", "uneven", "half", "to_half", "regress"]
documents = st.one_of(
    values,
    st.fixed_dictionaries(
        {},
        optional={
            "instances": tensors,
            "inputs": tensors,
            "examples": values,
            "context": values,
            "signature_name": st.one_of(st.sampled_from(names), values),
        },
    ),
)


def with_bytes(document: Any, at: int, inserted: bytes) -> bytes:
    text = json.dumps(document).encode()
    return text[: at % len(text)] + inserted + text[at % len(text) :]


bodies = st.one_of(
    documents.map(lambda document: json.dumps(document).encode()),
    documents.map(lambda document: json.dumps(document).encode()[:-1]),
    st.builds(with_bytes, documents, st.integers(0, 200), st.binary(min_size=1, max_size=3)),
    st.binary(max_size=50),
    st.integers(1, 3000).map(lambda depth: b'{"instances":' + b"[" * depth + b"1" + b"]" * depth + b"}"),
)
models = st.sampled_from(["sample", "types", "none"])
methods = st.sampled_from([":predict", ":classify", ":regress"])
choices = st.one_of(
    st.just(""), st.just("/labels/l"), st.sampled_from([1, 3, 9, 2**63, 2**64]).map("/versions/{}".format)
)
paths = st.one_of(
    st.builds("/v1/models/{}{}{}".format, models, choices, methods),
    st.builds(
        "/v1/models/{}{}{}".format, models, choices, st.sampled_from(["", "/metadata", "/x", "?a", "%00", "%zz"])
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20).map(lambda text: f"/v1/models/{text}"),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=10).map(lambda text: f"/{text}"),
)
verbs = st.sampled_from(["POST"] * 8 + ["GET", "HEAD", "PUT", "OPTIONS", "DELETE"])
encodings = st.sampled_from([{}] * 8 + [{"Content-Encoding": "gzip"}])


class Asking:
    """One connection, opened again when the server has closed it.

    Args:
        port: the server's.
        timeout: seconds for an answer.
    """

    def __init__(self, port: int, timeout: float = 60) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def ask(self, verb: str, path: str, body: bytes, headers: Any) -> tuple[int, bytes]:
        for last in (False, True):
            try:
                self._connection.request(verb, path, body, headers)
                response = self._connection.getresponse()
                return response.status, response.read()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self._connection.close()
                assert not last
        raise AssertionError


def test_any_request_is_answered(rest: Rest) -> None:
    asking = Asking(rest.port)

    @fuzz
    @given(verbs, paths, bodies, encodings)
    def answers(verb: str, path: str, body: bytes, headers: Any) -> None:
        status, answer = asking.ask(verb, path, body, headers)
        assert status in (200, 400, 404, 501), (status, answer)
        if status != 200 and verb != "HEAD":
            assert json.loads(answer).keys() == {"error"}

    answers()
    assert rest.ask("GET", "/v1/models/types").status == 200


def test_any_prediction_is_answered(rest: Rest) -> None:
    asking = Asking(rest.port)

    @fuzz
    @given(st.sampled_from(["sample", "types"]), methods, bodies)
    def answers(model: str, method: str, body: bytes) -> None:
        status, answer = asking.ask("POST", f"/v1/models/{model}{method}", body, {})
        assert status in (200, 400, 501), (status, answer)
        json.loads(answer)

    answers()
    assert rest.ask("GET", "/v1/models/types").status == 200


def test_any_bytes_on_the_socket_do_no_harm(rest: Rest) -> None:
    @settings(fuzz, max_examples=max(50, EXAMPLES // 20))
    @given(
        st.one_of(
            st.binary(max_size=200), st.binary(max_size=60).map(lambda rest: b"POST /v1/models/types:predict " + rest)
        )
    )
    def survives(data: bytes) -> None:
        with socket.create_connection(("127.0.0.1", rest.port), 10) as connection, contextlib.suppress(OSError):
            connection.sendall(data + b"\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(1 << 16)
            assert not answer.startswith((b"HTTP/1.1 500", b"HTTP/1.0 500"))

    survives()
    assert rest.ask("GET", "/v1/models/types").status == 200
