"""`unroll predict` on many texts, on long ones and on bytes that are not text."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.conftest import unroll
from tests.serving.certificates import Authority
from tests.serving.recording import recording
from tests.serving_fixtures import ROOT, Server
from unroll.serving.client.client import Client
from unroll.serving.protocol import tensors


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


def test_a_text_may_hold_a_slash(server: Server) -> None:
    texts = ["It was good/bad.", "10/10", "", "no.txt in it"]
    assert [row["text"] for row in predict(server, *texts)["predictions"]] == texts


def test_what_looks_like_a_file_and_is_none_is_no_text(server: Server, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe")
    os.mkfifo(tmp_path / "pipe")
    for given, said in {
        tmp_path / "none" / "texts.txt": "no such file. Check its path; if it is a text, pipe it to --input -",
        "none/texts": "no such file. Check its path",
        "no such texts.csv": "no such file. Check its path",
        tmp_path: "is a folder. Name a file in it; if it is a text, pipe it to --input -",
        tmp_path / "empty.txt": "is empty. Give a file with a text a line",
        tmp_path / "bytes.txt": "not UTF-8 at byte 0. Convert it first.",
        tmp_path / "pipe": "is not a regular file. Name one, or pipe it to --input -",
    }.items():
        done = unroll("predict", "sample", "--json", "--input", given, "--server", server.address, check=2)
        assert done.stderr.startswith(f"error: --input {given}: {said}")
        assert (done.stderr.count("\n"), done.stdout) == (1, "")


def test_a_picture_of_nothing_is_refused_before_anything_is_printed(server: Server, tmp_path: Path) -> None:
    plot = tmp_path / "out.png"
    done = unroll("predict", "sample", "--input", "good", "--server", server.address, "--plot", plot, check=2)
    assert done.stderr.startswith(f"error: --plot {plot}: there is nothing to draw in the answers of sample.")
    assert not done.stdout
    assert not plot.exists()


def test_a_refusal_names_the_options_of_the_command(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(Authority().certificate)
    (tmp_path / "token").write_text("sécret\n")
    own = Authority().issue()
    with recording(grpc.ssl_server_credentials([(own.key, own.certificate)])) as (_, secured):
        for options, said in (
            (
                ("--server", secured),
                f"x at {secured}: {secured} ends the connection. If it speaks TLS, give --root-cert",
            ),
            (
                ("--server", secured.replace("127.0.0.1", "localhost"), "--root-certificates", tmp_path / "ca.pem"),
                "is of an authority that is not trusted. Give the PEM file of that authority with --root-certificates",
            ),
            (
                ("--server", "http://localhost"),
                "--server 'http://localhost': expected the host:port of the server's gRPC",
            ),
            (
                ("--root-certificates", tmp_path / "token"),
                f"--root-certificates {tmp_path / 'token'}: no certificate in",
            ),
            (("--token-file", tmp_path / "token"), f"--token-file {tmp_path / 'token'}: must hold one token"),
        ):
            done = unroll("predict", "x", "--json", "--input", "good", *options, check=2)
            assert said in done.stderr
            assert (done.stderr.count("\n"), done.stdout) == (1, "")
