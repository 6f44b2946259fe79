"""Configuration keys as Python has them: dotted or nested, or a YAML file."""

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from unroll.errors import UserError

if TYPE_CHECKING:
    from unroll.pipelines.training.config import TaskConfig

Configured = TypeVar("Configured", bound="TaskConfig")
Keys = Mapping[str, Any] | str | os.PathLike[str] | None


def configured(schema: type[Configured], keys: Keys, base: Mapping[str, Any] | None = None) -> Configured:
    """A task's validated configuration.

    Args:
        schema: the task's configuration model.
        keys: `{"model.cell": "gru"}`, `{"model": {"cell": "gru"}}`, both mixed, or a YAML file.
        base: nested keys to start from.

    Raises:
        UserError: an unknown key, a value out of range, a file that is not YAML.

    Example:
        >>> from unroll.pipelines.training.config import TaskConfig
        >>> configured(TaskConfig, {"train.epochs": 3, "train": {"seed": 1}}).train.epochs
        3
    """
    from unroll.pipelines.training.config import load_config

    if keys is None or isinstance(keys, str | os.PathLike):
        return load_config(schema, None if keys is None else Path(keys), base=base)
    if not isinstance(keys, Mapping):
        raise UserError(f"config: expected a dict of keys or a YAML file. Received: {keys!r}")
    values: dict[str, Any] = copy.deepcopy(dict(base or {}))
    _add(values, keys, "")
    return load_config(schema, base=values)


def _add(values: dict[str, Any], keys: Mapping[str, Any], prefix: str) -> None:
    for key, value in keys.items():
        name = f"{prefix}{key}"
        *sections, last = str(key).split(".")
        inner = values
        for section in sections:
            inner = inner.setdefault(section, {})
            if not isinstance(inner, dict):
                raise UserError(f"configuration key {name}: {section} holds {inner!r}, not keys of its own")
        if isinstance(value, Mapping) and isinstance(inner.get(last, {}), dict):
            _add(inner.setdefault(last, {}), value, f"{name}.")
        else:
            inner[last] = value
