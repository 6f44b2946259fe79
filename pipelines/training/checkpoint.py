"""The state of an unfinished training run in one file."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unroll.workspace import write_atomically

Groups = dict[str, list[np.ndarray]]


def save_checkpoint(file: Path, state: Mapping[str, Any], groups: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Writes numbers and arrays.

    Args:
        file: an .npz; replaced atomically.
        state: anything JSON holds.
        groups: lists of arrays by name.
    """
    arrays = {f"{name}/{index}": array for name, group in groups.items() for index, array in enumerate(group)}
    buffer = io.BytesIO()
    np.savez(buffer, state=np.frombuffer(json.dumps(dict(state)).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
    write_atomically(file, buffer.getvalue())


def load_checkpoint(file: Path) -> tuple[dict[str, Any], Groups]:
    """What `save_checkpoint` wrote, groups in their order."""
    with np.load(file, allow_pickle=False) as stored:
        state = json.loads(stored["state"].tobytes())
        groups: Groups = {}
        for key in stored.files:
            name, separator, _ = key.partition("/")
            if separator:
                groups.setdefault(name, []).append(stored[key])
    return state, groups
