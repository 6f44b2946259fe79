"""Configuration: pydantic models with good defaults, filled from a YAML file and `--set` options."""

import copy
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from unroll.errors import UserError
from unroll.pipelines.training.keys import Epochs, LearningRate, MixedPrecision, Patience


class Section(BaseModel):
    """A part of a configuration; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


def _check_object_name(name: str) -> str:
    if not re.fullmatch(r"[^\W\d][\w.]*:[^\W\d][\w.]*", name):
        raise ValueError("must be module:name, such as my_module:build_model")
    return name


ObjectName = Annotated[str, AfterValidator(_check_object_name)]
"""Something of the user's own, `module:name`; see `unroll.pipelines.user_code`."""


def _as_list(names: Any) -> Any:
    return [names] if isinstance(names, str) else names


class ModelSection(Section):
    """What a task's model is made of."""

    build: ObjectName | None = Field(
        None, description="function of your own, module:name, that builds the model; null: the task's model"
    )


class TrainSection(Section):
    """How any task is trained."""

    epochs: Epochs = None
    batch_size: int = Field(64, ge=1, le=65536, description="records of a training step")
    learning_rate: LearningRate = 1e-3
    warmup: float = Field(0.05, ge=0, lt=1, description="share of all steps in which the learning rate rises from 0")
    clip_norm: float = Field(1.0, gt=0, description="largest global norm of a gradient")
    weight_decay: float = Field(
        0.0, ge=0, lt=1, description="share of every weight, times the learning rate, taken off at each step (AdamW)"
    )
    patience: Patience = None
    minutes: float | None = Field(
        None,
        gt=0,
        description="time for training and validation, over which the learning rate falls and which is used up unless "
        "the validation score turns; null: no limit",
    )
    mixed_precision: MixedPrecision = False
    loss: ObjectName | None = Field(None, description="loss of your own, module:name; null: the task's")
    optimizer: ObjectName | None = Field(
        None, description="another optimizer, module:name, such as keras.optimizers:Lion; null: AdamW"
    )
    callbacks: Annotated[list[ObjectName], BeforeValidator(_as_list)] = Field(
        [], description="Keras callbacks of your own, module:name each"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="decides the start, the order of batches and what is dropped")


class TaskConfig(Section):
    """What every task's configuration has in common."""

    train: TrainSection = TrainSection()


Config = TypeVar("Config", bound=TaskConfig)


def load_config(
    schema: type[Config],
    file: Path | None = None,
    overrides: Sequence[str] = (),
    base: Mapping[str, Any] | None = None,
) -> Config:
    """Reads a configuration.

    Args:
        schema: the task's configuration model.
        file: YAML with any of its keys, or None.
        overrides: `key.sub=value` strings, they win over the file. A value is read as YAML if it is any; of a
            key that holds text, only what is in quotes, brackets or braces.
        base: keys to start from, such as those of a trained model.

    Returns:
        The validated configuration.

    Raises:
        UserError: a file that is not YAML, an unknown key, a value out of range.

    Example:
        >>> load_config(TaskConfig, overrides=["train.epochs=3"]).train.epochs
        3
    """
    values: dict[str, Any] = copy.deepcopy(dict(base or {}))
    if file is not None:
        _merge(values, _read_yaml(file))
    values = with_overrides(values, overrides, lambda path: _takes_text(schema, path))
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise UserError(_explain(schema, error)) from None


def with_overrides(
    values: Mapping[str, Any], overrides: Sequence[str], takes_text: Callable[[list[str]], bool]
) -> dict[str, Any]:
    """Nested keys, some of which `key.sub=value` strings set.

    Args:
        values: the keys.
        overrides: the strings.
        takes_text: whether the key of that path holds text, whatever it looks like; any other is read as YAML.

    Raises:
        UserError: a string of another form.

    Example:
        >>> with_overrides({"data": {"text": "body"}}, ["data.text=1"], lambda path: True)
        {'data': {'text': '1'}}
    """
    changed = copy.deepcopy(dict(values))
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator or not key:
            raise UserError(f"--set takes key.sub=value. Received: {override!r}")
        path = key.split(".")
        _assign(changed, path, _text(value) if takes_text(path) else _value(value))
    return changed


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise UserError(f"--config {file}: no such file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"--config {file}: cannot be read as YAML ({reason})") from None
    if not isinstance(values, dict):
        raise UserError(f"--config {file}: must hold keys such as 'train: {{epochs: 3}}'. Received: {values!r}")
    return values


def _value(text: str) -> Any:
    """An option's value: YAML, or the text itself where it is not YAML (`|` and `,` are delimiters, say)."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return text if value == "" and text not in ("''", '""') else value


def _text(text: str) -> Any:
    """The value of a key that holds text, such as a column's name, as it is: YAML reads more into `No` and `a: b`.

    Lists, mappings and what stands in quotes are YAML.
    """
    if text in (" ", "\t"):
        return text  # a delimiter
    text = text.strip()
    if text in ("", "null", "~"):
        return None
    if text[0] not in "[{\"'" or len(text) == 1:
        return text
    try:
        return yaml.load(text, yaml.BaseLoader)  # which leaves every scalar a text
    except yaml.YAMLError:
        return text


def _takes_text(schema: type[BaseModel], path: Sequence[str]) -> bool:
    """Whether a key holds text, or lists or mappings of it."""
    key, *rest = path
    field = schema.model_fields.get(key)
    if field is None:
        return False
    if rest:
        sections = [one for one in _parts(field.annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
        return any(_takes_text(one, rest) for one in sections) or (not sections and str in _parts(field.annotation))
    return str in _parts(field.annotation)


def _parts(annotation: Any) -> set[Any]:
    """The types that an annotation is made of."""
    inner = get_args(annotation)
    if get_origin(annotation) is Literal:
        return set()
    return set().union(*map(_parts, inner)) if inner else {annotation}


def _merge(values: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            _merge(values[key], value)
        else:
            values[key] = value


def _assign(values: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        child = values.setdefault(key, {})
        if not isinstance(child, dict):
            raise UserError(f"--set {'.'.join(path)}: {key} holds {child!r}, not keys of its own")
        values = child
    values[path[-1]] = value


def _explain(schema: type[BaseModel], error: ValidationError) -> str:
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    path = ".".join(location)
    if first["type"] == "extra_forbidden":
        known = _keys(schema)
        close = difflib.get_close_matches(path, known, n=1, cutoff=0.5)
        siblings = [key for key in known if key.rpartition(".")[0] == path.rpartition(".")[0]] or known
        hint = f"Did you mean {close[0]}?" if close else f"Known keys: {', '.join(siblings)}"
        return f"configuration key {path}: unknown. {hint}"
    own = first["type"] == "value_error"
    reason = first["ctx"]["error"] if own else first["msg"]
    # of keys that contradict each other the whole section would be shown
    if own and isinstance(first["input"], dict):
        return f"configuration key {path}: {reason}"
    return f"configuration key {path}: {reason}{'' if str(reason).endswith('?') else '.'} Received: {first['input']!r}"


def _keys(schema: type[BaseModel], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, field in schema.model_fields.items():
        candidates = (field.annotation, *get_args(field.annotation))
        section = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
        keys += _keys(section, f"{prefix}{name}.") if section else [prefix + name]
    return keys
