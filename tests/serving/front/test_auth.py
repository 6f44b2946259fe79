"""Tokens: who is let through, who is not, and what the file may look like."""

import hashlib
import os
import timeit
from pathlib import Path

import grpc
import pytest

from tests.serving_fixtures import until
from unroll.errors import UserError
from unroll.serving.front.auth import Auth
from unroll.serving.protocol import model_spec, protos
from unroll.serving.protocol.call import Call
from unroll.serving.protocol.status import StatusError

PREDICT = f"{model_spec.PREDICTION}Predict"
APP, REPORT, HASHED = "app-0123456789abcdef", "report-0123456789abcdef", "hashed-0123456789abcdef"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(
        tmp_path / "tokens",
        f"# who may ask\napp:{APP}\n\nreport:{REPORT}:sentiment, load  # two models\n"
        f"hashed:sha256={hashlib.sha256(HASHED.encode()).hexdigest()}\n",
    )


def write(file: Path, text: str) -> Path:
    file.touch(0o600)
    file.write_text(text)
    return file


def call(token: str | None, path: str = PREDICT, scheme: str = "Bearer") -> Call:
    return Call(path, metadata={} if token is None else {"authorization": f"{scheme} {token}"})


def asking(model: str, message_class=protos.PredictRequest) -> bytes:
    request = message_class()
    request.model_spec.name = model
    return request.SerializeToString()


def refusal(auth: Auth, call: Call, message: bytes = b"") -> grpc.StatusCode:
    with pytest.raises(StatusError) as refused:
        auth.check(call, message)
    assert not any(token in refused.value.message for token in (APP, REPORT, HASHED))
    return refused.value.code


def test_only_a_known_token_passes(file):
    auth = Auth(file)
    auth.check(call(APP), asking("anything"))
    auth.check(call(APP, scheme="bearer"), asking("anything"))
    auth.check(call(HASHED), asking("anything"))
    for unknown in (None, "", APP[:-1], APP + "0", "report", f"sha256={hashlib.sha256(HASHED.encode()).hexdigest()}"):
        assert refusal(auth, call(unknown)) is grpc.StatusCode.UNAUTHENTICATED
    assert refusal(auth, call(APP, scheme="Basic")) is grpc.StatusCode.UNAUTHENTICATED


def test_who_asks_is_known_before_the_message(file):
    auth = Auth(file)
    assert auth.identify(call(REPORT)).models == {"sentiment", "load"}
    assert auth.identify(call(APP)).models is None
    assert auth.identify(call(None, "/grpc.health.v1.Health/Check")) is None
    with pytest.raises(StatusError):
        auth.identify(call(APP + "0"))


def test_health_and_reflection_need_no_token(file):
    auth = Auth(file)
    auth.check(call(None, "/grpc.health.v1.Health/Check"), b"")
    auth.check(call(None, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"), b"")


def test_a_token_of_some_models_is_good_for_these_only(file):
    auth = Auth(file)
    auth.check(call(REPORT), asking("load"))
    auth.check(call(REPORT, model_spec.STATUS), asking("sentiment", protos.GetModelStatusRequest))
    denied = grpc.StatusCode.PERMISSION_DENIED
    assert refusal(auth, call(REPORT), asking("secret")) is denied
    assert refusal(auth, call(REPORT, model_spec.METADATA), asking("secret", protos.GetModelMetadataRequest)) is denied
    assert refusal(auth, call(REPORT, model_spec.RELOAD)) is denied
    tasks = protos.MultiInferenceRequest()
    for model in ("load", "secret"):
        tasks.tasks.add().model_spec.name = model
    assert refusal(auth, call(REPORT, model_spec.MULTI_INFERENCE), tasks.SerializeToString()) is denied
    tasks.tasks[1].model_spec.name = "sentiment"
    auth.check(call(REPORT, model_spec.MULTI_INFERENCE), tasks.SerializeToString())


def test_a_model_named_twice_counts_as_the_method_will_read_it(file):
    """Protocol buffers merge a field that is sent twice: what comes last is the name."""
    smuggled = asking("load") + asking("secret")
    assert protos.PredictRequest.FromString(smuggled).model_spec.name == "secret"
    assert refusal(Auth(file), call(REPORT), smuggled) is grpc.StatusCode.PERMISSION_DENIED


def test_the_file_is_read_again_when_it_changes(file, monkeypatch, caplog):
    monkeypatch.setattr("unroll.serving.files.followed_file.LOOK_SECONDS", 0.0)
    auth = Auth(file)
    auth.check(call(APP), b"")
    write(file, f"new:{APP}-new\n")
    auth.check(call(f"{APP}-new"), b"")
    assert refusal(auth, call(APP)) is grpc.StatusCode.UNAUTHENTICATED
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.fixture
def followed(file, monkeypatch) -> Auth:
    """Tokens of a file that is looked at with every call."""
    monkeypatch.setattr("unroll.serving.files.followed_file.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("unroll.serving.files.followed_file._SOON_SECONDS", 0.0)
    return Auth(file)


def empty(file: Path) -> None:
    file.write_text("")


def keep_comments(file: Path) -> None:
    file.write_text("# nobody, for now\n\n")


def delete(file: Path) -> None:
    file.unlink()


def put_a_folder_there(file: Path) -> None:
    file.unlink()
    file.mkdir()


def put_a_fifo_there(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


def break_the_only_line(file: Path) -> None:
    file.write_text("app\n")


REVOCATIONS = [empty, keep_comments, delete, put_a_folder_there, put_a_fifo_there, break_the_only_line]


@pytest.mark.parametrize("revoke", REVOCATIONS)
def test_a_file_without_tokens_lets_nobody_in_and_a_good_one_lets_them_in_again(file, followed, caplog, revoke):
    caplog.set_level("INFO", "unroll.serving")
    content = file.read_text()
    followed.check(call(APP), b"")
    revoke(file)
    for _ in range(3):
        assert refusal(followed, call(APP)) is grpc.StatusCode.UNAUTHENTICATED
    followed.check(call(None, "/grpc.health.v1.Health/Check"), b"")
    (said,) = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert said.startswith(f"--auth_tokens_file {file}")
    assert said.endswith(" Until then nobody may ask.")
    file.rmdir() if file.is_dir() else file.unlink(missing_ok=True)
    write(file, content)
    followed.check(call(APP), b"")
    assert f"{file}: 3 tokens read" in caplog.text


def test_a_broken_line_revokes_itself_alone_and_what_is_no_more_there_is_revoked(file, followed, caplog):
    write(file, f"app:{APP}\nreport\nnew:{APP}-new\n")
    followed.check(call(APP), b"")
    followed.check(call(f"{APP}-new"), b"")
    for gone in (REPORT, HASHED):
        assert refusal(followed, call(gone)) is grpc.StatusCode.UNAUTHENTICATED
    (said,) = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert said.startswith(f"--auth_tokens_file {file}:2: ")
    assert said.endswith(" Until then 2 tokens are good.")


def test_a_file_that_others_may_read_by_now_is_told_and_still_counts(file, followed, caplog):
    file.write_text(f"app:{APP}\n")
    file.chmod(0o644)
    followed.check(call(APP), b"")
    assert refusal(followed, call(REPORT)) is grpc.StatusCode.UNAUTHENTICATED
    assert "others may read the tokens" in caplog.text


def test_a_call_that_was_let_in_is_not_answered_once_its_token_is_revoked(file, followed):
    """Its message took a while to come."""
    slow = call(APP)
    followed.identify(slow)
    file.write_text("")
    assert refusal(followed, slow) is grpc.StatusCode.UNAUTHENTICATED


def test_an_editor_that_empties_the_file_before_it_writes_it_locks_nobody_out_for_long(file, monkeypatch):
    monkeypatch.setattr("unroll.serving.files.followed_file.LOOK_SECONDS", 0.2)
    auth = Auth(file)
    content = file.read_text()
    file.write_text("")
    until(lambda: not passes(auth, APP))
    file.write_text(content)
    until(lambda: passes(auth, APP), seconds=1)


def passes(auth: Auth, token: str) -> bool:
    try:
        auth.check(call(token), b"")
    except StatusError:
        return False
    return True


def in_place(file: Path, text: str) -> None:
    """Of the same size, and the time that it had."""
    before = file.stat()
    file.write_text(text)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def by_rename(file: Path, text: str) -> None:
    write(file.with_name("new"), text).rename(file)


def by_link(file: Path, text: str) -> None:
    """As Kubernetes renews a secret: the file is a link through a folder that is a link, and that is swapped."""
    folder = file.parent / f"..{text.partition(':')[0]}"
    folder.mkdir()
    write(folder / "tokens", text)
    swapped = file.parent / "..data_tmp"
    swapped.symlink_to(folder.name)
    swapped.rename(file.parent / "..data")
    if not file.is_symlink():
        file.unlink(missing_ok=True)
        file.symlink_to("..data/tokens")


@pytest.mark.parametrize("change", [in_place, by_rename, by_link])
def test_every_way_to_change_the_file_is_noticed(tmp_path, monkeypatch, change):
    monkeypatch.setattr("unroll.serving.files.followed_file.LOOK_SECONDS", 0.0)
    file = tmp_path / "tokens"
    write(file, f"a:{APP}\n")
    change(file, f"a:{APP}\n")
    auth = Auth(file)
    other = APP[:-1] + "0"
    for name, token, old in (("b", other, APP), ("c", APP, other)):  # at once, while clocks tell the same
        change(file, f"{name}:{token}\n")
        auth.check(call(token), b"")
        assert not passes(auth, old)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no token"),
        ("# none\n", "holds no token"),
        ("app\n", ":1: neither name:token nor"),
        ("app:short\n", ":1: a token has at least 16"),
        ("\napp:0123456789 abcdef0\n", ":2: a token has at least 16"),
        (":0123456789abcdef\n", ":1: neither name:token nor"),
        ("app:0123456789abcdef:a:b\n", ":1: neither name:token nor"),
        ("app:sha256=123\n", ":1: a SHA-256 has 64 hexadecimal digits, this one is 3"),
        ("a:0123456789abcdef\nb:0123456789abcdef\n", ":2: b has the token of a"),
    ],
)
def test_what_is_wrong_with_the_file_is_said_without_the_token(tmp_path, text, said):
    with pytest.raises(UserError, match=rf"--auth_tokens_file .*{said}.*\.$") as refused:
        Auth(write(tmp_path / "tokens", text))
    assert "0123456789" not in str(refused.value)


def test_a_file_that_others_may_read_is_refused(file, tmp_path):
    file.chmod(0o640)
    with pytest.raises(UserError, match=rf"--auth_tokens_file {file}: .*`chmod 600 {file}`\."):
        Auth(file)
    with pytest.raises(UserError, match="cannot be read"):
        Auth(tmp_path / "none")


def test_a_check_costs_microseconds(file):
    auth, known, message = Auth(file), call(APP), asking("load")
    limited = call(REPORT)
    # The least of several, since other programs may run: 1 and 3 us on a quiet machine.
    best = {
        who: min(timeit.repeat(lambda asked=asked: auth.check(asked, message), number=1000, repeat=7)) * 1000
        for who, asked in (("any", known), ("some", limited))
    }
    refused = min(timeit.repeat(lambda: passes(auth, APP + "0"), number=1000, repeat=7)) * 1000
    assert best["any"] < 20, best
    assert best["some"] < 40, best
    assert refused < 40
