"""Tracking servers that cannot be used are told before a training; of stores see `test_mlflow_model`."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.conftest import Done, unroll
from unroll.errors import UserError
from unroll.pipelines.training.tracking import check_tracking
from unroll.serving.server.ports import free_port


def error_of(done: Done) -> str:
    """The only line of an error; nothing else was said."""
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert "Traceback" not in done.stderr
    assert "epoch" not in done.stderr
    return line.removeprefix("error: ")


@pytest.mark.parametrize("command", [["train", "sentiment", "--data", "{data}"], ["promote", "small", "1"], ["models"]])
def test_nobody_listens(command, reviews_csv, tmp_path, monkeypatch):
    address = f"http://127.0.0.1:{free_port('127.0.0.1')}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    arguments = [argument.format(data=reviews_csv) for argument in command]
    said = error_of(unroll(*arguments, "--home", tmp_path / "home", check=2))
    assert said == (
        f"MLflow: the tracking server {address} does not answer (Connection refused). Start it, or unset "
        "MLFLOW_TRACKING_URI to use the workspace's own database"
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "refuses the credentials (*401*). Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        (403, "refuses the credentials (*403*). Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        (404, "is not MLflow's (*404*). Correct it"),
        (200, "is not MLflow's (*). Correct it"),
    ],
)
def test_a_server_that_refuses_or_is_another(status, words):
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>You are not known here.</html>")

        do_POST = do_GET  # noqa: N815

        def log_message(self, *arguments: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        with pytest.raises(UserError) as caught:
            check_tracking(f"http://ana:secret@127.0.0.1:{other.server_port}", "small")
        other.shutdown()
    said, rest = str(caught.value), words
    assert said.startswith(f"MLflow: the tracking server http://127.0.0.1:{other.server_port} ")
    assert "secret" not in said
    for part in rest.split("*"):
        assert part in said
        said = said.partition(part)[2]


def test_a_workspace_whose_artifacts_have_no_place(reviews_csv, tmp_path):
    (tmp_path / "artifacts").write_text("")
    said = error_of(unroll("train", "sentiment", "--data", reviews_csv, "--home", tmp_path, check=2))
    assert said.startswith(f"{tmp_path / 'artifacts'}: is not a folder, and MLflow's artifacts, ")
    assert [path.name for path in tmp_path.iterdir()] == ["artifacts"]


def test_a_kind_of_server_that_is_not_known():
    with pytest.raises(UserError, match=r"the tracking server gopher://x is not MLflow's .*unsupported URI"):
        check_tracking("gopher://x", "small")
    with pytest.raises(UserError, match=r"^MLflow: the tracking server postgresql://127.0.0.1:9/x does not answer"):
        check_tracking("postgresql://ana:secret@127.0.0.1:9/x", "small")
