"""Errors of the Python API in Python's words: what the command line calls --data is `data` here."""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

from unroll.errors import UserError

_WORDS: list[tuple[re.Pattern[str], Any]] = [
    (re.compile(r"--set '([\w.]+)=([^']*)'"), lambda found: _setting(found[1], found[2])),
    (re.compile(r"--set ([\w.]+)='([^']*)'"), lambda found: _setting(found[1], found[2])),
    (re.compile(r"`unroll (promote|rollback|train) ([^`]*)`"), lambda found: f"`{_call(found[1], found[2])}`"),
    (re.compile(r"\bunroll (promote|rollback|train) ((?:[\w.-]+ ?)+)"), lambda found: _call(found[1], found[2])),
    (re.compile(r"--set '?([\w.]+)=([^\s,;']+?)'?(?=[\s,;)]|\.$|\. |$)"), lambda found: _setting(found[1], found[2])),
    (re.compile(r"--set takes"), "config takes"),
    (re.compile(r"--promote and --no-register"), "promote=True, register=False"),
    (re.compile(r"--set:"), "config:"),
    (re.compile(r"--input\b"), "inputs"),
    (re.compile(r"--(data|config|home|name|alias|version|task)\b"), r"\1"),
]


@contextlib.contextmanager
def python_words(*, replaced: str = "", by: str = "") -> Iterator[None]:
    """Rewrites the message of a `UserError` that leaves the `with` block.

    Args:
        replaced: a text that means nothing to the caller, such as the name of a file in the cache.
        by: what stands for it.
    """
    try:
        yield
    except UserError as error:
        message = " ".join(str(error).split())
        if replaced:
            message = message.replace(f"--data {replaced}", by).replace(replaced, by)
        for pattern, words in _WORDS:
            message = pattern.sub(words, message)
        raise UserError(message) from None


def _call(command: str, arguments: str) -> str:
    """`promote reviews 3` to `unroll.promote("reviews", 3)`."""
    given = [word if word.isdigit() or word.isupper() else f'"{word}"' for word in arguments.split()]
    return f"unroll.{command}({', '.join(given)})"


def _setting(key: str, value: str) -> str:
    """`data.missing`, `[-999]` to `config={"data.missing": ["-999"]}`."""
    words = {"null": "None", "true": "True", "false": "False"}
    if value.startswith("[") and value.endswith("]"):
        written = json.dumps([one.strip().strip('"') for one in value[1:-1].split(",")], ensure_ascii=False)
    else:
        tab = '"\\t"'  # as a shell needs it
        written = words.get(value) or (tab if value == tab else json.dumps(value, ensure_ascii=False))
    return f'config={{"{key}": {written}}}'
