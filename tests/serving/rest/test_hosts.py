"""By which names a server on this machine is asked."""

from collections.abc import Callable

import pytest

from tests.rest_fixtures import Rest
from unroll.serving.rest import RestParameters
from unroll.serving.rest.hosts import Hosts
from unroll.serving.server import flags, settings


def hosts(*arguments: str) -> Hosts | None:
    return settings.parameters(flags.parse(arguments, "server")).rest.hosts


def test_a_page_of_another_site_reads_nothing(start_rest: Callable[..., Rest]) -> None:
    rest = start_rest(RestParameters(hosts=hosts()))
    for verb, path in (
        ("GET", "/"),
        ("GET", "/openapi.json"),
        ("POST", "/v1/models/types:predict"),
        ("GET", "/v1/models/types"),
    ):
        reply = rest.ask(verb, path, b'{"instances": [[1, 2]]}' if verb == "POST" else None, Host="attacker.example:80")
        assert reply.status == 403
        assert "'attacker.example:80'" in reply.error
        assert "--rest_allowed_hosts" in reply.error
        own = rest.ask(
            verb, path, b'{"instances": [[1, 2]]}' if verb == "POST" else None, Host=f"localhost:{rest.port}"
        )
        assert own.status == 200


@pytest.mark.parametrize(
    "name", ["", "localhost", "LOCALHOST:1", "a.localhost", "127.0.0.1:80", "[::1]:80", "10.0.0.7"]
)
def test_names_that_no_site_can_take(name: str) -> None:
    found = hosts()
    assert found is not None
    assert found.accept(name)
    assert found.accept(name)


@pytest.mark.parametrize(
    "name", ["a.example", "localhost.example", "127.0.0.1.example:80", "[::1].a", "a:b:c", "127.1.a"]
)
def test_names_that_a_site_can_take(name: str) -> None:
    found = hosts()
    assert found is not None
    assert not found.accept(name)


def test_names_are_allowed_by_the_operator() -> None:
    for named in (hosts("--rest_allowed_hosts=models.example,other"), hosts("--rest_allowed_hosts=*")):
        assert named is not None
        assert named.accept("Models.example:8501")
    assert hosts("--host=0.0.0.0") is None  # the names are those of the network
    assert hosts("--host=models.example") is None
    narrowed = hosts("--host=0.0.0.0", "--rest_allowed_hosts=models.example")
    assert narrowed is not None
    assert not narrowed.accept("attacker.example")
