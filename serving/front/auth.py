"""Who may ask: bearer tokens, from a file."""

import hashlib
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path

import grpc

from unroll.errors import UserError
from unroll.serving.files import regular_files
from unroll.serving.files.followed_file import FollowedFile
from unroll.serving.protocol import model_spec
from unroll.serving.protocol.call import Call
from unroll.serving.protocol.status import StatusError

_log = logging.getLogger(__name__)
_OPEN = "/grpc."  # health and reflection: probes have no token, and the protocol is no secret
_MAX_SAID = 5
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
    token `sha256=` and the SHA-256 of it in hexadecimal digits will do, so that the file gives none away.

    The file is looked at every second while calls come in, and only what it says then is good: a token that is no
    longer in it is refused, and where it is empty, deleted or cannot be read, every token is. A line that makes no
    sense counts for nothing, and is told; the others stay good.

    Health and reflection stay open.

    Args:
        tokens_file: readable by its owner only.

    Raises:
        UserError: the file cannot be read, others may read it, or a line of it is not a token.

    Example:
        >>> Path("tokens").write_text("app:6fd1b7a60d4c2e8891a3\\n") and Path("tokens").chmod(0o600)
        >>> auth = Auth(Path("tokens"))
        >>> auth.check(Call(model_spec.STATUS, metadata={"authorization": "Bearer 6fd1b7a60d4c2e8891a3"}), b"")
    """

    def __init__(self, tokens_file: Path) -> None:
        self._file = FollowedFile(tokens_file)
        self._grants, self._said = _read(tokens_file)
        if self._said:
            raise UserError(self._said[0])

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
        if self._file.changed():
            self._read_again()
        if not call.token_digest:
            scheme, _, token = call.metadata.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                raise StatusError(grpc.StatusCode.UNAUTHENTICATED, "No token. Send `authorization: Bearer TOKEN`")
            call.token_digest = hashlib.sha256(token.strip().encode(errors="replace")).digest()
        # Looked up by its hash: how long that takes tells nothing of a token, since nobody can choose a hash's digits.
        grant = self._grants.get(call.token_digest)
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

    def _read_again(self) -> None:
        grants, problems = _read(self._file.path)
        if problems != self._said:
            good = (
                f"{len(grants)} {'token is' if len(grants) == 1 else 'tokens are'} good" if grants else "nobody may ask"
            )
            for problem in problems[:_MAX_SAID]:
                _log.error("%s Until then %s.", problem, good)
        if grants and (grants != self._grants or (self._said and not problems)):
            _log.info("%s: %d token%s read", self._file.path, len(grants), "" if len(grants) == 1 else "s")
        if problems and (problems != self._said or not grants):
            self._file.retry(soon=problems != self._said)
        self._grants, self._said = grants, problems


def _limit(name: str, models: frozenset[str], path: str, message: bytes) -> None:
    if path != model_spec.STATUS and not path.startswith(model_spec.PREDICTION):
        raise StatusError(
            grpc.StatusCode.PERMISSION_DENIED, f"The token of {name} may ask models, not {path.rpartition('/')[2]}"
        )
    specs, _ = model_spec.asked(path, message)
    for spec in specs:
        if spec.name not in models:
            raise StatusError(grpc.StatusCode.PERMISSION_DENIED, f"The token of {name} may not ask model {spec.name}")


def _read(file: Path) -> tuple[dict[bytes, Grant], list[str]]:
    """What each token allows, by its SHA-256; and what is wrong with the file."""
    shown = f"{_FLAG} {file}"
    try:
        with regular_files.open_regular(file) as stream:
            open_to_others = os.fstat(stream.fileno()).st_mode & 0o077
            text = stream.read().decode(errors="replace")
    except OSError as error:
        return {}, [f"{shown}: cannot be read ({error.strerror}). Give a file of name:token lines."]
    grants: dict[bytes, Grant] = {}
    problems = []
    if open_to_others:
        problems.append(f"{shown}: others may read the tokens. Make it yours alone with `chmod 600 {file}`.")
    for number, line in enumerate(text.splitlines(), 1):
        try:
            _add(grants, line.partition("#")[0].strip(), f"{shown}:{number}")
        except UserError as error:
            problems.append(str(error))
    if not grants and not problems:
        problems.append(f"{shown}: holds no token, so that nobody may ask. {_REMEDY}, and write a line name:token.")
    return grants, problems


def _add(grants: dict[bytes, Grant], line: str, where: str) -> None:
    if not line:
        return
    name, *rest = (part.strip() for part in line.split(":"))
    if not name or len(rest) not in (1, 2):
        raise UserError(f"{where}: neither name:token nor name:token:model,model. {_REMEDY}.")
    token, *models = rest
    digest = _digest(token, where)
    if digest in grants:
        raise UserError(f"{where}: {name} has the token of {grants[digest].name}. {_REMEDY} for each.")
    grants[digest] = Grant(name, frozenset(models[0].replace(",", " ").split()) if models else None)


def _digest(token: str, where: str) -> bytes:
    if token.startswith("sha256="):
        digits = token.removeprefix("sha256=")
        if not re.fullmatch("[0-9a-fA-F]{64}", digits):
            raise UserError(f"{where}: a SHA-256 has 64 hexadecimal digits, this one is {len(digits)} characters long.")
        return bytes.fromhex(digits)
    if len(token) < _SHORTEST or not re.fullmatch("[!-~]+", token):
        raise UserError(f"{where}: a token has at least {_SHORTEST} printable characters and no blank. {_REMEDY}.")
    return hashlib.sha256(token.encode()).digest()
