"""Signs versions as `model_signing sign key` does."""

import base64
import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_PAYLOAD = "application/vnd.in-toto+json"


class Signer:
    """A key, and what it signs."""

    def __init__(self, curve: ec.EllipticCurve | None = None, algorithm: hashes.HashAlgorithm | None = None) -> None:
        self._key = ec.generate_private_key(curve or ec.SECP256R1())
        self._algorithm = algorithm or hashes.SHA256()

    @property
    def public_key(self) -> bytes:
        """PEM."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, directory: Path, **changes: object) -> None:
        """Leaves `model.sig` in a version's directory.

        Args:
            directory: the version's.
            changes: of the statement's predicate.
        """
        files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != "model.sig")
        resources = [
            {
                "name": path.relative_to(directory).as_posix(),
                "algorithm": "sha256",
                "digest": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in files
        ]
        root = hashlib.sha256(b"".join(bytes.fromhex(one["digest"]) for one in resources)).hexdigest()
        predicate = {"serialization": {"method": "files", "hash_type": "sha256"}, "resources": resources, **changes}
        self.sign_statement(
            directory,
            {
                "_type": "https://in-toto.io/Statement/v1",
                "subject": [{"name": directory.name, "digest": {"sha256": root}}],
                "predicateType": "https://model_signing/signature/v1.0",
                "predicate": predicate,
            },
        )

    def sign_statement(self, directory: Path, statement: object) -> None:
        payload = json.dumps(statement).encode()
        encoded = f"DSSEv1 {len(_PAYLOAD)} {_PAYLOAD} {len(payload)} ".encode() + payload
        signature = self._key.sign(encoded, ec.ECDSA(self._algorithm))
        bundle = {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": ""}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": _PAYLOAD,
                "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
            },
        }
        (directory / "model.sig").write_text(json.dumps(bundle))
