"""What is the same text to a reader, as one text: what models do in their graphs, here in Python."""

import functools
import html.entities
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

_ENTITY = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ROUNDS = 2  # pages that were escaped twice say &amp;#39;
REPLACEMENT = "\ufffd"


def normal_form(text: str, spec: Mapping[str, Any]) -> str:
    """A text in normal form.

    Args:
        text: any.
        spec: `{"unescape": bool, "fold": [[pattern, replacement], ...], "form": "NFC" or "NFKC"}`: whether HTML's
            entities become their characters; what is replaced then, in order; Unicode's form that ends it. A key
            that is absent stands for nothing to do.

    Example:
        >>> normal_form("cafe\u0301 &amp;#39;bon&#39;", {"unescape": True, "form": "NFC"})
        "café 'bon'"
    """
    if spec.get("unescape") and "&" in text:
        for _ in range(_ROUNDS):
            text = _ENTITY.sub(_character, text)
    if text.isascii():
        return text  # which none of these changes
    for pattern, replacement in spec.get("fold", ()):
        text = _compiled(pattern).sub(replacement, text)
    return unicodedata.normalize(spec["form"], text) if "form" in spec else text


def character(number: int) -> str:
    """What HTML means by a numeric character reference; 128 to 159 are Windows' characters, as browsers have it."""
    if 0x80 <= number < 0xA0:
        return bytes([number]).decode("cp1252", "replace")
    invalid = number == 0 or 0xD800 <= number < 0xE000 or number > 0x10FFFF
    return REPLACEMENT if invalid else chr(number)


def _character(found: re.Match[str]) -> str:
    name = found[1]
    if name[0] != "#":
        return html.entities.html5.get(f"{name};", found[0])
    return character(int(name[2:], 16) if name[1] in "xX" else int(name[1:]))


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
