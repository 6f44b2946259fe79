"""Signatures of versions: what the tool of OpenSSF's signs passes, and nothing else does."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.serving.signing import Signer
from tests.serving_fixtures import Server, start_model_server, until
from unroll.errors import UserError
from unroll.serving.client.client import Client
from unroll.serving.engine.load_error import LoadError
from unroll.serving.versions.store import Store
from unroll.serving.versions.verification import Verifier

# model-signing 1.1.1: `model_signing sign key model --private_key KEY --signature model/model.sig`
FILES = {"saved_model.pb": "a graph\n", "variables/variables.index": "weights\n"}
PAYLOAD = (
    "ewogICJfdHlwZSI6ICJodHRwczovL2luLXRvdG8uaW8vU3RhdGVtZW50L3YxIiwKICAic3ViamVjdCI6IFsKICAgIHsKICAgICAg"
    "Im5hbWUiOiAibW9kZWwiLAogICAgICAiZGlnZXN0IjogewogICAgICAgICJzaGEyNTYiOiAiOTdlMjJkNmNjNmEwM2JmNTdjMjcw"
    "MzMzYTEwZjAxZTllNjJjY2Q2NzgwZDM4YWM5ZTI3NzQzMDJiNzRlZjNmMiIKICAgICAgfQogICAgfQogIF0sCiAgInByZWRpY2F0"
    "ZVR5cGUiOiAiaHR0cHM6Ly9tb2RlbF9zaWduaW5nL3NpZ25hdHVyZS92MS4wIiwKICAicHJlZGljYXRlIjogewogICAgInNlcmlh"
    "bGl6YXRpb24iOiB7CiAgICAgICJtZXRob2QiOiAiZmlsZXMiLAogICAgICAiaGFzaF90eXBlIjogInNoYTI1NiIsCiAgICAgICJh"
    "bGxvd19zeW1saW5rcyI6IGZhbHNlLAogICAgICAiaWdub3JlX3BhdGhzIjogWwogICAgICAgICIuZ2l0IiwKICAgICAgICAiLmdp"
    "dGF0dHJpYnV0ZXMiLAogICAgICAgICIuZ2l0aWdub3JlIiwKICAgICAgICAiLmdpdGh1YiIsCiAgICAgICAgIm1vZGVsLnNpZyIK"
    "ICAgICAgXQogICAgfSwKICAgICJyZXNvdXJjZXMiOiBbCiAgICAgIHsKICAgICAgICAiZGlnZXN0IjogIjdiYmRhZDQxY2FkM2Fm"
    "ZDNkNzIzZmM4YjI0YTVlNzNkMTVmNTY5MmJkZDc4ZGM2NjE1MDIzNjFlYjZlOWIzNmIiLAogICAgICAgICJuYW1lIjogInNhdmVk"
    "X21vZGVsLnBiIiwKICAgICAgICAiYWxnb3JpdGhtIjogInNoYTI1NiIKICAgICAgfSwKICAgICAgewogICAgICAgICJkaWdlc3Qi"
    "OiAiMWI0NjVmYTZiNmJjYmMwNmEzMTk5ZTNkMmQ4YWVjMzVkMzc0OTRhNzEyZjg4OGI2ZDU1MzY2ODRkZDg5ZDBmMCIsCiAgICAg"
    "ICAgIm5hbWUiOiAidmFyaWFibGVzL3ZhcmlhYmxlcy5pbmRleCIsCiAgICAgICAgImFsZ29yaXRobSI6ICJzaGEyNTYiCiAgICAg"
    "IH0KICAgIF0KICB9Cn0="
)
SIGNATURE = "MEUCIB1EdQdXGhhObeH8NOgtl1A9M0dE1yKnMt3U036IWlYEAiEAo6erQZSl+gBJXfplQQOrf0v52CfH6J9LflvnzvWSkZ4="
PUBLIC_KEY = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE5mgugpf/9rsVSIYNb2GcHoGE2YgU
8qzj10K8TaMaumEzSrVdlwfGU/atrc4CIkRIgOMi0d1mvLZFRjMJfBloQQ==
-----END PUBLIC KEY-----
"""


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """What that tool signed."""
    for name, content in FILES.items():
        (tmp_path / "1" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "1" / name).write_text(content)
    bundle = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "250fc669"}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": PAYLOAD,
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": SIGNATURE, "keyid": ""}],
        },
    }
    (tmp_path / "1" / "model.sig").write_text(json.dumps(bundle))
    return tmp_path / "1"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    (tmp_path / "keys.pem").write_text(PUBLIC_KEY)
    return tmp_path / "keys.pem"


def refusal(keys: Path, directory: Path) -> str:
    with pytest.raises(LoadError) as refused:
        Verifier(keys)(directory)
    told = f"{refused.value}. {refused.value.remedy}"
    assert "\n" not in told
    return told


def test_what_the_tool_signed_passes(signed: Path, keys: Path) -> None:
    Verifier(keys)(signed)


UNLISTED = """
import os
import threading  # which is imported at the first signature, when this user may not be able to
from pathlib import Path
from unroll.serving.files import regular_files
from unroll.serving.versions.verification import Verifier
if not os.getuid():
    os.setuid(65534)  # root lists everything
for check in (Verifier(Path("keys.pem")), regular_files.check_tree):
    try:
        check(Path("1"))
    except Exception as error:
        print(error)
"""


def test_a_folder_that_cannot_be_listed_is_refused(signed: Path, keys: Path) -> None:
    (signed / "more").mkdir()
    (signed / "more" / "file").write_text("that can be opened by name")
    (signed / "more").chmod(0o111)
    signed.parent.chmod(0o755)
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", UNLISTED],
        cwd=signed.parent,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "more: cannot be listed: Permission denied",
        "[Errno 13] Permission denied: '1/more'",
    ]


def _turn(file: str) -> Callable[[Path], None]:
    """One bit of a file."""

    def turn(directory: Path) -> None:
        content = bytearray((directory / file).read_bytes())
        content[-2] ^= 1
        (directory / file).write_bytes(content)

    return turn


def _link(directory: Path) -> None:
    outside = directory.parent / "outside"
    shutil.copy(directory / "saved_model.pb", outside)
    (directory / "saved_model.pb").unlink()
    (directory / "saved_model.pb").symlink_to(outside)


def _link_of_a_folder(directory: Path) -> None:
    (directory / "variables").rename(directory.parent / "outside")
    (directory / "variables").symlink_to(directory.parent / "outside")


def _fifo(directory: Path) -> None:
    (directory / "saved_model.pb").unlink()
    os.mkfifo(directory / "saved_model.pb")


def _resigned(directory: Path) -> None:
    Signer().sign(directory)


def _no_key(directory: Path) -> None:
    (directory.parent / "keys.pem").unlink()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_turn("saved_model.pb"), "it is not what was signed: saved_model.pb was altered since"),
        (_turn("variables/variables.index"), "variables/variables.index was altered since"),
        (lambda one: (one / "assets.extra").write_text("x"), "assets.extra was added since"),
        (lambda one: (one / "variables" / "model.sig").write_text("x"), "variables/model.sig was added since"),
        (lambda one: (one / ".gitignore").write_text("x"), ".gitignore was added since"),
        (lambda one: (one / "saved_model.pb").unlink(), "saved_model.pb is missing"),
        (_link, "saved_model.pb is a link"),
        (_link_of_a_folder, "variables is a link"),
        (_fifo, "saved_model.pb: it is a FIFO"),
        (lambda one: (one / "model.sig").unlink(), "it is not signed: it has no model.sig, and --verify_public_key"),
        (lambda one: (one / "model.sig").write_text(""), "its model.sig is damaged"),
        (lambda one: (one / "model.sig").write_text("[" * 99999), "its model.sig is damaged"),
        (lambda one: (one / "model.sig").write_text("{}"), "its model.sig is damaged"),
        (_turn("model.sig"), "its model.sig is damaged"),
        (_resigned, "its model.sig is not of a key of --verify_public_key"),
    ],
)
def test_what_is_not_as_it_was_signed_is_refused(
    signed: Path, keys: Path, change: Callable[[Path], None], said: str
) -> None:
    change(signed)
    assert said in refusal(keys, signed)


def test_no_bit_of_statement_or_signature_can_be_turned(signed: Path, keys: Path) -> None:
    file = signed / "model.sig"
    bundle = json.loads(file.read_text())
    envelope = bundle["dsseEnvelope"]
    for holder, key in ((envelope, "payload"), (envelope["signatures"][0], "sig")):
        before = holder[key]
        content = base64.b64decode(before)
        for at in range(len(content)):
            holder[key] = base64.b64encode(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]).decode()
            file.write_text(json.dumps(bundle))
            assert "model.sig" in refusal(keys, signed)
        holder[key] = before


@pytest.mark.parametrize(
    ("predicate", "said"),
    [
        ({"resources": []}, "digests that do not add up"),
        ({"serialization": {"method": "shards", "hash_type": "sha256"}}, "sha256 of shards. Sign it, SHA-256 of files"),
        ({"serialization": {"method": "files", "hash_type": "blake3"}}, "blake3 of files. Sign it, SHA-256 of files"),
        ({"serialization": None}, "is not of a form that is known"),
    ],
)
def test_statements_of_another_form_are_refused(
    signed: Path, tmp_path: Path, predicate: dict[str, object], said: str
) -> None:
    signer = Signer()
    (tmp_path / "keys.pem").write_bytes(signer.public_key)
    signer.sign(signed, **predicate)
    assert said in refusal(tmp_path / "keys.pem", signed)
    for statement in ([], {}, "", {"predicate": {}, "_type": "other", "predicateType": "other"}):
        signer.sign_statement(signed, statement)
        assert "model.sig" in refusal(tmp_path / "keys.pem", signed)


def test_one_of_several_keys_will_do_and_keys_may_change(signed: Path, keys: Path) -> None:
    one, other = Signer(ec.SECP384R1(), hashes.SHA384()), Signer(ec.SECP521R1(), hashes.SHA512())
    keys.write_bytes(one.public_key + other.public_key)
    verify = Verifier(keys)
    for signer in (one, other):
        signer.sign(signed)
        verify(signed)
    keys.write_bytes(one.public_key)
    with pytest.raises(LoadError, match="is not of a key"):
        verify(signed)
    keys.unlink()
    with pytest.raises(LoadError, match="cannot be read"):
        verify(signed)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"ssh-rsa AAAA",
        ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        Signer(ec.SECP256K1()).public_key,
        Signer().public_key + b"-----BEGIN PUBLIC KEY-----\n?\n-----END PUBLIC KEY-----\n",
    ],
)
def test_a_file_without_good_keys_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys.pem").write_bytes(content)
    with pytest.raises(UserError, match=r"--verify_public_key .*keys\.pem: holds no public key"):
        Verifier(tmp_path / "keys.pem")
    with pytest.raises(UserError, match="none: cannot be read"):
        Verifier(tmp_path / "none")


@pytest.fixture
def verifying(light_exports: dict[int, Path], tmp_path: Path) -> Iterator[tuple[Server, Store, Signer]]:
    signer, store = Signer(), Store(tmp_path / "store")
    (tmp_path / "keys.pem").write_bytes(signer.public_key)
    signer.sign(store.put("m", 1, light_exports[1]))
    server = start_model_server(
        f"--model_base_path={store.root / 'm'}",
        "--model_name=m",
        f"--verify_public_key={tmp_path / 'keys.pem'}",
        "--file_system_poll_wait_seconds=0.1",
    )
    assert server.port, server.text
    yield server, store, signer
    assert server.stop() == 0, server.text


def test_a_server_loads_what_is_signed_and_keeps_the_older_version_otherwise(
    verifying: tuple[Server, Store, Signer], light_exports: dict[int, Path], tmp_path: Path
) -> None:
    server, store, signer = verifying
    with Client(server.address, model="m", timeout=30) as client:

        def status(version: int) -> str:
            versions = server.rest("GET", "/v1/models/m").json["model_version_status"]
            return next((one["status"]["error_message"] for one in versions if one["version"] == str(version)), "")

        assert client.predict({"text": ["a"]}).version == 1
        unsigned = store.put("m", 2, light_exports[2])
        until(lambda: "it is not signed" in status(2))
        assert client.predict({"text": ["a"]}).version == 1
        signer.sign(unsigned)
        until(lambda: client.predict({"text": ["a"]}).version == 2)
        source = Path(shutil.copytree(light_exports[1], tmp_path / "3"))
        signer.sign(source)
        _turn("saved_model.pb")(source)
        store.put("m", 3, source)
        until(lambda: "saved_model.pb was altered since" in status(3))
        assert client.predict({"text": ["a"]}).version == 2
    assert server.text.count("saved_model.pb was altered since") == 1
