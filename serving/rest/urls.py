"""What a URL asks for, as TensorFlow Serving matches it: on the path as sent, query included, before decoding."""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from unroll.serving.protocol import protos
from unroll.serving.protocol.status import invalid

_VERSION = r"(?:/versions/([0-9]+)|/labels/([^/:]+))?"
_METHOD = re.compile(rf"(?i:/v1/models/([^/:]+){_VERSION}:(classify|regress|predict))")
_STATUS = re.compile(rf"(?i:/v1/models(?:/([^/:]+))?{_VERSION}(?:/(metadata))?)")


@dataclass(frozen=True)
class Target:
    """A model, and what to do with it.

    Args:
        what: `predict`, `classify`, `regress`, `metadata` or `status`.
        model: its name.
        version: its number, or None.
        label: a version's label, or None.
    """

    what: str
    model: str
    version: int | None = None
    label: str | None = None

    def spec(self, signature: str = "") -> bytes:
        """The serialized ModelSpec."""
        spec = protos.ModelSpec(name=self.model, signature_name=signature)
        if self.version is not None:
            spec.version.value = self.version
        if self.label is not None:
            spec.version_label = self.label
        return spec.SerializeToString()


def target(verb: str, path: str) -> Target:
    """Reads a URL under /v1/.

    Args:
        verb: HTTP's.
        path: with its escapes, and with the query.

    Raises:
        StatusError: INVALID_ARGUMENT, in TensorFlow Serving's words.
    """
    pattern = {"POST": _METHOD, "GET": _STATUS}.get(verb)
    found = pattern.fullmatch(path) if pattern else None
    if found is None:
        raise invalid(f"Malformed request: {verb} {path}")
    name, digits, label, what = found.groups()
    version = int(digits) if digits and len(digits) < 20 else None
    if digits and (version is None or version >= 2**63):
        raise invalid(f"Failed to convert version: {digits} to numeric.")
    if verb == "POST" and what not in ("classify", "regress", "predict"):  # the method, unlike the rest, is lower case
        raise invalid(f"Malformed request: {verb} {path}")
    if not name:
        raise invalid("Missing model name in request.")
    what = what if verb == "POST" else "metadata" if what == "metadata" else "status"
    return Target(what, _decoded(name), version, label and _decoded(label))


def _decoded(text: str) -> str:
    return unquote_to_bytes(text.encode("latin-1")).decode(errors="replace")
