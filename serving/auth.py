"""Who may ask: bearer tokens, from a file."""

import hashlib
import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc

from errors import UserError
from serving import model_spec
from serving.call import Call
from serving.status import StatusError

_log = logging.getLogger(__name__)
_OPEN = "/grpc."  # health and reflection: probes have no token, and the protocol is no secret
_LOOK_SECONDS = 1.0
_SHORTEST = 16  # characters, of 4 bits or more each
_FLAG = "--auth_tokens_file"
_REMEDY = "Make a token with `openssl rand -hex 32`"


@dataclass(frozen=True)
class Grant:
    """What a token allows.

    Args:
        name: whose token it is.
        models: names of the models that it may ask; None for everything, changes of the configuration included.
    """

    name: str
    models: frozenset[str] | None


class Auth:
    """Lets calls pass that carry a token of a file: `authorization: Bearer TOKEN`, in gRPC metadata or an HTTP header.

    The file has one `name:token` or `name:token:model,model` a line, and comments that begin with `#`. In place of a
    token `sha256=` and the SHA-256 of it in hexadecimal digits will do, so that the file gives none away. It is looked
    at again every second while calls come in; one that cannot be read any more leaves the tokens as they were.

    Health and reflection stay open.

    Args:
        tokens_file: readable by its owner only.

    Raises:
        UserError: the file cannot be read, others may read it, or a line of it is no token.

    Example:
        >>> Path("tokens").write_text("app:6fd1b7a60d4c2e8891a3\\n") and Path("tokens").chmod(0o600)
        >>> auth = Auth(Path("tokens"))
        >>> auth.check(Call(model_spec.STATUS, metadata={"authorization": "Bearer 6fd1b7a60d4c2e8891a3"}), b"")
    """

    def __init__(self, tokens_file: Path) -> None:
        self._file = tokens_file
        self._stamp = _stamp(tokens_file)
        self._grants = _read(tokens_file)
        self._look_at = time.monotonic() + _LOOK_SECONDS

    def identify(self, call: Call) -> Grant | None:
        """Who asks, as far as that is known before the message is read.

        Args:
            call: with the caller's metadata.

        Returns:
            What the caller may do; None where nobody is asked for a token.

        Raises:
            StatusError: UNAUTHENTICATED, without a token that the file knows.
        """
        if call.path.startswith(_OPEN):
            return None
        if time.monotonic() >= self._look_at:
            self._look_again()
        scheme, _, token = call.metadata.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise StatusError(grpc.StatusCode.UNAUTHENTICATED, "No token. Send `authorization: Bearer TOKEN`")
        # Looked up by its hash: how long that takes tells nothing of a token, since nobody can choose a hash's digits.
        grant = self._grants.get(hashlib.sha256(token.strip().encode(errors="replace")).digest())
        if grant is None:
            raise StatusError(grpc.StatusCode.UNAUTHENTICATED, "The token is not one that this server knows")
        return grant

    def check(self, call: Call, message: bytes) -> None:
        """Returns if a call may be answered.

        Args:
            call: with the caller's metadata.
            message: the request, read only where a token is good for some models.

        Raises:
            StatusError: UNAUTHENTICATED, without a token that the file knows; PERMISSION_DENIED, if the token is not
                good for this.
        """
        grant = self.identify(call)
        if grant and grant.models is not None:
            _limit(grant.name, grant.models, call.path, message)

    def _look_again(self) -> None:
        self._look_at = time.monotonic() + _LOOK_SECONDS
        stamp = _stamp(self._file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._grants = _read(self._file)
            _log.info("%s: %d tokens read", self._file, len(self._grants))
        except UserError as error:
            _log.error("%s The tokens before the change stay good.", error)


def _limit(name: str, models: frozenset[str], path: str, message: bytes) -> None:
    if path != model_spec.STATUS and not path.startswith(model_spec.PREDICTION):
        raise StatusError(
            grpc.StatusCode.PERMISSION_DENIED, f"The token of {name} may ask models, not {path.rpartition('/')[2]}"
        )
    specs, _ = model_spec.asked(path, message)
    for spec in specs:
        if spec.name not in models:
            raise StatusError(grpc.StatusCode.PERMISSION_DENIED, f"The token of {name} may not ask model {spec.name}")


def _stamp(file: Path) -> tuple[int, int, int, int] | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode


def _read(file: Path) -> Mapping[bytes, Grant]:
    """What each token allows, by its SHA-256."""
    shown = f"{_FLAG} {file}"
    try:
        if file.stat().st_mode & 0o077:
            raise UserError(f"{shown}: others may read the tokens. Make it yours alone with `chmod 600 {file}`.")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserError(f"{shown}: cannot be read ({reason}). Give a file of name:token lines.") from None
    grants: dict[bytes, Grant] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not (line := line.partition("#")[0].strip()):
            continue
        name, *rest = (part.strip() for part in line.split(":"))
        if not name or len(rest) not in (1, 2):
            raise UserError(f"{shown}:{number}: neither name:token nor name:token:model,model. {_REMEDY}.")
        token, *models = rest
        digest = _digest(token, f"{shown}:{number}")
        if digest in grants:
            raise UserError(f"{shown}:{number}: {name} has the token of {grants[digest].name}. {_REMEDY} for each.")
        grants[digest] = Grant(name, frozenset(models[0].replace(",", " ").split()) if models else None)
    if not grants:
        raise UserError(f"{shown}: holds no token, so that nobody could ask. {_REMEDY}, and write a line name:token.")
    return grants


def _digest(token: str, where: str) -> bytes:
    if token.startswith("sha256="):
        digits = token.removeprefix("sha256=")
        if not re.fullmatch("[0-9a-fA-F]{64}", digits):
            raise UserError(f"{where}: a SHA-256 has 64 hexadecimal digits, this one is {len(digits)} characters long.")
        return bytes.fromhex(digits)
    if len(token) < _SHORTEST or not re.fullmatch("[!-~]+", token):
        raise UserError(f"{where}: a token has at least {_SHORTEST} printable characters and no blank. {_REMEDY}.")
    return hashlib.sha256(token.encode()).digest()
