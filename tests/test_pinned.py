"""What is built upon other packages' insides: those packages are pinned to the version whose insides these are."""

import tomllib
from importlib import metadata
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]


async def _nothing(scope, receive, send):
    pass


def test_the_version_that_is_pinned_is_installed():
    assert f"uvicorn=={metadata.version('uvicorn')}" in PROJECT["dependencies"]


async def test_the_parts_of_uvicorns_connection_that_ours_builds_upon():
    config = uvicorn.Config(_nothing, http="httptools", ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    connection = HttpToolsProtocol(config, state, {})
    attributes = {
        "loop", "parser", "transport", "flow", "server_state", "client", "cycle", "pipeline", "url", "headers",
        "connection_made", "connection_lost", "data_received", "on_message_begin", "on_headers_complete", "on_body",
        "on_message_complete", "on_response_complete", "_start_asgi_task",
    }  # fmt: skip
    assert {name for name in attributes if not hasattr(connection, name)} <= {"url"}  # which a request brings
    assert (state.connections, state.default_headers) == (set(), [])
