"""Signatures of versions, checked before they are loaded: OpenSSF Model Signing, by a key.

`model.sig` in a version's folder is what the package `model-signing` makes: a Sigstore bundle around a signed statement
that lists every file with its digest. It is checked here since that package would bring 16 others into the server.

https://github.com/ossf/model-signing-spec
"""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from unroll.errors import UserError
from unroll.serving.engine.load_error import LoadError
from unroll.serving.files import regular_files
from unroll.serving.versions.store import SIGNATURE

FLAG = "--verify_public_key"
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}  # by curve
_END = b"-----END PUBLIC KEY-----"
_MAX_NAMED = 3


class Verifier:
    """Lets a version pass that is signed by a key of a file, and exactly as it was signed.

    Args:
        keys_file: one or more public keys of the curves P-256, P-384 or P-521, PEM. It is read again for each version,
            so that keys can change.

    Raises:
        UserError: the file cannot be read, or holds no such key.

    Example:
        >>> verify = Verifier(Path("signers.pem"))  # doctest: +SKIP
        >>> verify(Path("store/sentiment/3"))  # doctest: +SKIP
    """

    def __init__(self, keys_file: Path) -> None:
        self._file = keys_file
        self._keys()

    def __call__(self, directory: Path) -> None:
        """Returns if a version may be loaded.

        Args:
            directory: the version's. Who may write there while it is loaded must be trusted.

        Raises:
            LoadError: it is not signed, not by such a key, or differs from what was signed.
        """
        payload, signature = _envelope(directory)
        try:
            keys = self._keys()
        except UserError as error:
            raise LoadError(str(error), "") from None
        if not any(_is_signed(payload, signature, key) for key in keys):
            raise LoadError(
                f"its {SIGNATURE} is not of a key of {FLAG} {self._file}",
                f"Add the public key of who signed it to that file; or sign it: {how_to_sign(directory)}",
            )
        _check_files(directory, payload)

    def _keys(self) -> list[ec.EllipticCurvePublicKey]:
        try:
            pem = regular_files.read(self._file)
        except OSError as error:
            raise UserError(f"{FLAG} {self._file}: cannot be read ({error.strerror}). Name a PEM file") from None
        keys = []
        try:
            for part in pem.strip().removesuffix(_END).split(_END):
                key = serialization.load_pem_public_key(part + _END)
                if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
                    raise ValueError
                keys.append(key)
        except ValueError:
            raise UserError(
                f"{FLAG} {self._file}: holds no public key of the curve P-256, P-384 or P-521 in PEM. Make one of the "
                "private key that signs: openssl ec -in KEY -pubout -out PUBLIC_KEY"
            ) from None
        return keys


def check_unaltered(directory: Path) -> None:
    """Returns if a version that is signed is as it was signed, by whichever key.

    Raises:
        LoadError: as `Verifier`.
    """
    payload, _ = _envelope(directory)
    _check_files(directory, payload)


def how_to_sign(directory: Path) -> str:
    """The command that signs a version."""
    return f"model_signing sign key {directory} --private_key KEY --signature {directory / SIGNATURE}"


def _envelope(directory: Path) -> tuple[bytes, bytes]:
    """What is signed, and its signature."""
    sign = f"Sign it: {how_to_sign(directory)}"
    try:
        bundle = regular_files.read(directory / SIGNATURE)
    except FileNotFoundError:
        raise LoadError(f"it is not signed: it has no {SIGNATURE}, and {FLAG} asks for one", sign) from None
    except OSError as error:
        raise LoadError(f"its {SIGNATURE} cannot be read: {error.strerror}") from None
    try:
        document = json.loads(bundle)
        envelope = document["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        (signature,) = [base64.b64decode(one["sig"], validate=True) for one in envelope["signatures"]]
        if document["mediaType"] != _BUNDLE or envelope["payloadType"] != _PAYLOAD:
            raise ValueError(document["mediaType"])
    except (ValueError, LookupError, TypeError, RecursionError):
        raise LoadError(f"its {SIGNATURE} is damaged, or no Sigstore bundle of one signature by a key", sign) from None
    return payload, signature


def _check_files(directory: Path, payload: bytes) -> None:
    signed = _files(payload, f"Sign it, SHA-256 of files, which is the default: {how_to_sign(directory)}")
    there = _digests(directory)
    for what, names in (
        ("was altered since", [name for name in sorted(signed) if there.get(name, signed[name]) != signed[name]]),
        ("was added since", sorted(there.keys() - signed.keys())),
        ("is missing", sorted(signed.keys() - there.keys())),
    ):
        if names:
            more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
            raise LoadError(
                f"it is not what was signed: {', '.join(names[:_MAX_NAMED])}{more} {what}",
                f"Put back what was signed; or, if you trust it as it is, sign it again: {how_to_sign(directory)}",
            )


def _is_signed(payload: bytes, signature: bytes, key: ec.EllipticCurvePublicKey) -> bool:
    envelope = b"DSSEv1 %d %b %d %b" % (len(_PAYLOAD), _PAYLOAD.encode(), len(payload), payload)  # DSSE's encoding
    try:
        key.verify(signature, envelope, ec.ECDSA(_HASHES[key.curve.name]))
    except InvalidSignature:
        return False
    return True


def _files(payload: bytes, sign: str) -> Mapping[str, str]:
    """SHA-256 of each file that a statement lists, by name."""
    try:
        statement = json.loads(payload)
        predicate = statement["predicate"]
        if (statement["_type"], statement["predicateType"]) != (_STATEMENT, _PREDICATE):
            raise LoadError(f"its {SIGNATURE} signs something else than a model: {statement['predicateType']}", sign)
        method, algorithm = predicate["serialization"]["method"], predicate["serialization"]["hash_type"]
        if (method, algorithm) != ("files", "sha256"):
            raise LoadError(f"its {SIGNATURE} lists {algorithm} of {method}", sign)
        (subject,) = statement["subject"]
        digests = [bytes.fromhex(resource["digest"]) for resource in predicate["resources"]]
        files = {
            resource["name"]: digest.hex() for resource, digest in zip(predicate["resources"], digests, strict=True)
        }
        if hashlib.sha256(b"".join(digests)).hexdigest() != subject["digest"]["sha256"] or len(files) != len(digests):
            raise LoadError(f"its {SIGNATURE} lists digests that do not add up", sign)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise LoadError(f"its {SIGNATURE} is not of a form that is known: {error!r}", sign) from None
    return files


def _digests(directory: Path) -> Mapping[str, str]:
    """SHA-256 of each file of a version but the signature, by name. Links have no place there: they can be turned."""
    digests = {}

    def refuse(error: OSError) -> NoReturn:  # files in it can be opened by name all the same
        raise LoadError(f"{os.path.relpath(error.filename, directory)}: cannot be listed: {error.strerror}") from None

    for parent, folders, names in os.walk(directory, onerror=refuse):
        for name in (*folders, *names):
            path = Path(parent, name)
            if path.is_symlink():
                raise LoadError(
                    f"{path.relative_to(directory)} is a link, which no signature covers",
                    f"Put what it leads to in its place, and sign that: {how_to_sign(directory)}",
                )
        for name in names:
            path = Path(parent, name)
            if path != directory / SIGNATURE:
                try:
                    with regular_files.open_regular(path) as file:
                        digest = hashlib.file_digest(file, "sha256")
                except OSError as error:
                    raise LoadError(f"{path.relative_to(directory)}: {error.strerror}") from None
                digests[path.relative_to(directory).as_posix()] = digest.hexdigest()
    return digests
