"""What was found and learnt while a data set was prepared, as JSON beside it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "dataset_info.json"


def write_info(directory: Path, info: Mapping[str, Any]) -> None:
    """Writes `dataset_info.json`.

    Example:
        >>> write_info(directory, {"read": 30_000, "counts": {"train": 27_000}})  # doctest: +SKIP
    """
    (directory / FILE).write_text(json.dumps(info))


def read_info(directory: Path) -> dict[str, Any]:
    """What `write_info` wrote."""
    return json.loads((directory / FILE).read_text())
