"""Every key of a configuration with its default, its range and what it is for, as YAML or Markdown."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from unroll.pipelines.data.sections import TableSection
from unroll.pipelines.training.config import TaskConfig

_REQUIRED = object()
_TYPES = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "object": "mapping",
}
_PLURALS = {"text": "texts", "integer": "integers", "number": "numbers"}
_BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


@dataclass(frozen=True)
class Key:
    """One key of a configuration.

    Args:
        path: such as `train.epochs`.
        default: its value where it is not given, as JSON has it.
        values: what it may hold, in words.
        description: what it is for; empty where its author wrote nothing.
        required: whether it must be given, so that there is no default.
    """

    path: str
    default: Any
    values: str
    description: str
    required: bool = False


def keys(schema: type[TaskConfig]) -> list[Key]:
    """The keys of a configuration: those of the task's own sections first, then those that all tasks have.

    Example:
        >>> next(key for key in keys(TaskConfig) if key.path == "train.batch_size").values
        'integer, 1 to 65536'
    """
    document = schema.model_json_schema()
    found = _keys(document, document.get("$defs", {}), {})
    return sorted(found, key=lambda key: (key.path.partition(".")[0] in TaskConfig.model_fields, _is_of_tables(key)))


def as_yaml(schema: type[TaskConfig], title: str = "") -> str:
    """A configuration file that sets every key to its default; above each, what it is for and what it may hold.

    Args:
        schema: the configuration.
        title: the comment at the top, any number of lines.

    Returns:
        The text. A key without a default is in a comment.
    """
    lines = [f"# {line}".rstrip() for line in title.splitlines()]
    section: list[str] = []
    for key in keys(schema):
        *parents, name = key.path.split(".")
        if lines and parents != section:
            lines.append("")
        same = 0
        while parents[: same + 1] == section[: same + 1] and same < len(parents):
            same += 1
        lines += [f"{_indent(depth)}{parents[depth]}:" for depth in range(same, len(parents))]
        section = parents
        indent = _indent(len(parents))
        lines.append(f"{indent}# {_sentence(key)}")
        lines.append(f"{indent}# {name}:" if key.required else f"{indent}{name}: {_yaml_value(key.default)}")
    return "\n".join(lines) + "\n"


def as_markdown(schema: type[TaskConfig]) -> str:
    """The keys as a table."""
    lines = ["| key | default | values | |", "|---|---|---|---|"]
    for key in keys(schema):
        default = "required" if key.required else f"`{_yaml_value(key.default)}`"
        cells = (f"`{key.path}`", default, key.values, key.description)
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(lines) + "\n"


def _is_of_tables(key: Key) -> bool:
    """Such stand behind the keys of their section that a task has for itself."""
    return key.path.rpartition(".")[2] in TableSection.model_fields


def _keys(
    node: Mapping[str, Any], sections: Mapping[str, Any], defaults: Mapping[str, Any], path: str = ""
) -> Iterator[Key]:
    """The keys of an object in a JSON schema; `defaults` are those of the section as a whole, which win."""
    for name, field in node.get("properties", {}).items():
        default = defaults.get(name, field.get("default", _REQUIRED))
        section = _section(field, sections)
        if section is not None and default is not None:
            yield from _keys(section, sections, {} if default is _REQUIRED else default, f"{path}{name}.")
            continue
        required = default is _REQUIRED
        yield Key(
            path=f"{path}{name}",
            default=None if required else default,
            values=_values(field),
            description=field.get("description", ""),
            required=required,
        )


def _section(field: Mapping[str, Any], sections: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for candidate in (field, *field.get("anyOf", ()), *field.get("allOf", ())):
        section = sections.get(candidate.get("$ref", "").rpartition("/")[2])
        if section is not None and "properties" in section:
            return section
    return None


def _values(field: Mapping[str, Any]) -> str:
    """What a JSON schema allows, in words."""
    if "anyOf" in field:
        kinds = [_values(one) for one in field["anyOf"]]
        return (", or " if "," in "".join(kinds) else " or ").join(kinds)
    if "enum" in field or "const" in field:
        *names, last = [_yaml_value(one) for one in field.get("enum", [field.get("const")])]
        return f"{', '.join(names)} or {last}" if names else last
    kind = field.get("type", "object" if "$ref" in field else "any value")
    if kind == "array":
        items = _values(field.get("items", {}))
        return f"list of {_PLURALS.get(items, items)}{_size(field)}"
    if kind == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"mapping of text to {_values(field['additionalProperties'])}"
    if kind == "string" and field.get("maxLength") == 1:
        return "one character"
    return f"{_TYPES.get(kind, kind)}{_range(field)}"


def _range(field: Mapping[str, Any]) -> str:
    if "minimum" in field and "maximum" in field:
        return f", {field['minimum']} to {field['maximum']}"
    return "".join(f", {words} {field[bound]}" for bound, words in _BOUNDS.items() if bound in field)


def _size(field: Mapping[str, Any]) -> str:
    minimum, maximum = field.get("minItems", 0), field.get("maxItems")
    if minimum == maximum:
        return f", {minimum} of them"
    return (f", at least {minimum}" if minimum else "") + (f", at most {maximum}" if maximum is not None else "")


def _sentence(key: Key) -> str:
    described = " ".join(key.description.split())
    return f"{described[:1].upper()}{described[1:].rstrip('.')}. ({key.values})" if described else f"({key.values})"


def _yaml_value(value: Any) -> str:
    """A value in YAML's flow style, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _indent(depth: int) -> str:
    return "  " * depth
