"""`unroll predict` on many texts, on long ones and on bytes that are no text."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serving import tensors
from serving.client import Client
from tests.conftest import unroll
from tests.serving_fixtures import ROOT, Server


def predict(server: Server, *inputs: str | bytes, stdin: bytes = b"") -> dict[str, Any]:
    given = [argument for text in inputs for argument in ("--input", text)]
    done = subprocess.run(
        [sys.executable, "-m", "unroll", "predict", "sample", *given, "--server", server.address, "--json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=stdin,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_a_file_of_more_rows_than_a_batch_is_answered_in_order(server: Server, tmp_path: Path) -> None:
    texts = ["x" * (number % 97) + str(number) for number in range(300)]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    answer = predict(server, str(tmp_path / "texts.txt"))
    assert answer["version"] == 1
    assert [row["text"] for row in answer["predictions"]] == texts
    assert [row["score"] for row in answer["predictions"]] == [len(text) for text in texts]


def test_texts_larger_in_all_than_a_message_are_answered(server: Server) -> None:
    sizes = [3 << 20] * 12 + [5 << 20]  # 41 MB; a message may have 32
    stdin = b"\n".join(b"x" * size for size in sizes)
    assert [row["score"] for row in predict(server, "-", stdin=stdin)["predictions"]] == sizes


@pytest.mark.parametrize(("inputs", "stdin"), [((b"caf\xe9",), b""), (("-",), b"caf\xe9\n")])
def test_bytes_that_are_no_utf8_are_answered(server: Server, inputs: tuple[Any, ...], stdin: bytes) -> None:
    (row,) = predict(server, *inputs, stdin=stdin)["predictions"]
    assert row["text"] == "caf�"
    assert row["score"] == len("caf�".encode())


def test_half_an_emoji_is_no_error(server: Server) -> None:
    half = json.loads(r'"good \ud83d"')
    assert tensors.from_python([half]).tolist() == [b"good ?"]
    with Client(server.address, model="sample") as client:
        assert client.predict({"text": [half]})["score"] == [6]
        assert client.classify([half])[0][1][0] == "good ?"


def test_a_picture_that_cannot_be_written_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for plot, words in {
        tmp_path / "none" / "out.png": f"there is no folder {tmp_path / 'none'}. Make it",
        tmp_path / "folder.png": "is a folder. Name a file",
        tmp_path / "out.txt": "must end in .png, .svg, .pdf",
    }.items():
        done = unroll("predict", "sample", "--input", "good", "--server", "127.0.0.1:1", "--plot", plot, check=2)
        assert done.stderr.startswith(f"error: --plot {plot}: {words}")


def test_what_is_missing_for_a_protected_server_is_named(tmp_path: Path) -> None:
    file = tmp_path / "token"
    for option, said in (
        ("--token-file", f"--token-file {file}: cannot be read (No such file or directory)"),
        ("--client-key", "--client-certificate and --client-key: one of them is of no use. Give both"),
    ):
        assert unroll("predict", "sample", "--input", "good", option, file, check=2).stderr.startswith(f"error: {said}")


def test_an_answer_is_shown_beside_a_text_that_is_too_long(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = unroll("predict", "sample", "--input", "good", "--input", "long " * 60, "--server", server.address)
    assert "positive" in done.stdout
    assert "unknown" in done.stdout
    assert "300.0, -300.0" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
