"""Lines of JSON, an object each."""

import codecs
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unroll.errors import UserError
from unroll.monitoring.tables.files.text_source import check_letters, open_bytes, twice_encoded, undecodable

_LOOKED_AT = 1 << 17  # bytes of a file, for what its letters are


def hint_of(file: Path, encoding: str) -> str:
    """What may be wrong with the letters of a file, for the run's output; empty if nothing seems so."""
    with open_bytes(file) as stream:
        return twice_encoded(stream.read(_LOOKED_AT).decode(encoding, "ignore").encode())


def json_objects(file: Path, encoding: str) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file, a line each.

    Args:
        file: a name ending in `.gz` is unpacked on the way.
        encoding: of the file.

    Raises:
        UserError: a line that is something else, or an encoding error; with the file's name.
    """
    number = 0
    check_letters(file, encoding)
    marked = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding  # may begin with a byte order mark
    try:
        with gzip.open(file, "rt", encoding=marked) if file.suffix == ".gz" else file.open(encoding=marked) as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise UserError(f"{file}, line {number}: must be a JSON object. Received: {line[:60]!r}")
                yield record
    except json.JSONDecodeError as error:
        raise UserError(f"{file}, line {number}: is not JSON ({error.msg}). Fix or remove the line") from None
    except UnicodeError:
        raise undecodable(file, encoding) from None
    except (OSError, EOFError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from None
