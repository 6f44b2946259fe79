"""Keys that sections of several tasks have in common, and what to say of a column that is not there."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from unroll.errors import UserError
from unroll.monitoring.tables.format import TableFormat
from unroll.pipelines.training.config import Section


def _texts(value: Any) -> Any:
    """One or several names, of which YAML may have taken some for numbers."""
    several = value if isinstance(value, list | tuple) else [value]
    return [str(one) if isinstance(one, int | float) and not isinstance(one, bool) else one for one in several]


def _header(value: Any) -> Any:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value if isinstance(value, bool) else _texts(value)


def _thousands(value: Any) -> Any:
    return " " if isinstance(value, str) and value.isspace() else {"’": "'"}.get(value, value)


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _text_or_texts(value: Any) -> Any:
    several = _texts(value)
    if not several or not all(isinstance(one, str) for one in several):
        raise ValueError("takes the name of a column, or of several in brackets")
    return several[0] if len(several) == 1 else several


def _character(value: Any) -> Any:
    """A shell has no easy way to write a tab; and the reader of tables takes characters of one byte."""
    if isinstance(value, str) and not value.isascii():
        raise ValueError("must be a character of ASCII. Write the file with another one")
    return {"\\t": "\t", "tab": "\t"}.get(value, value) if isinstance(value, str) else value


Name = Annotated[str, BeforeValidator(_text)]
"""A column."""
Names = Annotated[list[str], BeforeValidator(_texts)]
"""One or several columns."""

NameOrNames = Annotated[str | list[str], BeforeValidator(_text_or_texts)]
"""A column, or several in their order."""

SplitColumn = Annotated[
    str | None,
    BeforeValidator(_text),
    Field(description="column saying train, validation or test; null: a hash decides"),
]
GroupColumn = Annotated[
    str | None,
    BeforeValidator(_text),
    Field(description="column by which metrics are also given, such as a source; null: none"),
]
MergeCase = Annotated[
    bool,
    Field(
        description="whether labels that differ in capitals only, as 1.0 from 1 or, beside true, as 1 from true are "
        "one class"
    ),
]
_Character = Annotated[str, BeforeValidator(_character), Field(min_length=1, max_length=1)]


class TableSection(Section):
    """How tables are written in their files; a subclass names their columns."""

    delimiter: _Character | None = Field(
        None,
        description="what separates a CSV file's columns (' ': any number of blanks); null: a comma, of .tsv a tab",
    )
    encoding: str = Field("utf-8", description="encoding of text files, such as utf-8, latin-1 or utf-16")
    quote: _Character | None = Field(
        '"', description="what stands around cells that hold delimiters or line ends; null: quotation marks are text"
    )
    escape: _Character | None = Field(
        None, description="what stands before a quotation mark that is text, such as \\; null: the mark is doubled"
    )
    multiline: bool = Field(
        False, description="whether lines within a quoted cell are text also where they look like records of the table"
    )
    decimal: Literal[".", ","] | None = Field(
        None, description="what stands before a number's fraction; null: found by looking at the column"
    )
    thousands: Annotated[Literal[".", ",", " ", "'", "_"] | None, BeforeValidator(_thousands)] = Field(
        None,
        description="what stands between a number's thousands (' ': any blank); null: found by looking at the column",
    )
    missing: Annotated[list[str], BeforeValidator(_texts)] = Field(
        [],
        description="what stands for a missing value, beside an empty cell, NA, NaN, null, -, ? and the like: [-999]",
    )
    header: Annotated[bool | list[str], BeforeValidator(_header)] = Field(
        True,
        description="whether the first row names the columns; false: they are named 1, 2, 3; "
        "a list: their names, of a file that has none",
    )
    skip_rows: int | None = Field(
        None, ge=0, description="lines before the header that are not read; null: found by looking at the file"
    )
    skip_footer: int | None = Field(
        None, ge=0, description="lines at the end that are not read; null: a line of totals is found"
    )
    sheet: Name | None = Field(None, description="sheet of a workbook, by its name or number; null: the first")

    @property
    def table_format(self) -> TableFormat:
        """What this says of the files' form."""
        stated = {key: getattr(self, key) for key in TableSection.model_fields}
        header = self.header if isinstance(self.header, bool) else tuple(self.header)
        return TableFormat(**{**stated, "missing": tuple(self.missing), "header": header})


class RecordSection(TableSection):
    """Where the records of a `RecordTask` are found; a subclass names their columns.

    Example:
        >>> from unroll.pipelines import Label, Words
        >>> class Reviews(RecordSection):
        ...     text: Words = "text"
        ...     label: Label = "label"
    """

    split: SplitColumn = None
    group: GroupColumn = None
    merge_case: MergeCase = True
    max_tokens: int = Field(256, ge=1, le=100_000, description="tokens kept of a text")
    vocabulary_size: int = Field(20_000, ge=1, le=2_000_000, description="words that are known at most")
    min_count: int = Field(1, ge=1, description="occurrences of a word in the train split to be known")


def no_groups(column: str) -> str:
    """What is said where further data has no groups."""
    return f"No record has a group in column {column!r} (data.group): metrics are of all records only."


def column_advice(section: Section) -> dict[str, str]:
    """By column, how to name another one.

    Example:
        >>> column_advice(RecordSection(group="source"))["source"]
        '--set data.group=COLUMN (null: none)'
    """
    advice: dict[str, str] = {}
    for key, field in type(section).model_fields.items():
        if key in TableSection.model_fields:
            continue
        value = getattr(section, key)
        for name in value if isinstance(value, list) else [value]:
            if isinstance(name, str):
                advice.setdefault(name, f"--set data.{key}=COLUMN{' (null: none)' if field.default is None else ''}")
    return advice


def check_columns(
    columns: Sequence[str], present: Sequence[str], file: Path, advice: Mapping[str, str], hint: Callable[[str], str]
) -> None:
    """Refuses a file that lacks columns.

    Args:
        columns: that are needed.
        present: that the file has.
        file: for the message.
        advice: by column, how to name another one.
        hint: says, of a column that is missing, what may be wrong; or nothing.

    Raises:
        UserError: a column is missing, or there are several of its name.
    """
    for column in columns:
        if list(present).count(column) > 1:
            raise UserError(f"{file}: has {list(present).count(column)} columns {column!r}. Rename all but one")
    missing = [column for column in columns if column not in present]
    if not missing:
        return
    named = f"column {missing[0]!r}" if len(missing) == 1 else f"columns {', '.join(map(repr, missing))}"
    names = ", ".join(repr(name) for name in present)
    seen = next((found for column in missing if (found := hint(column))), "")
    remedy = "Give a file that has it"
    if advised := [column for column in missing if column in advice]:
        likely = _likely_names(advised, [name for name in present if name and name not in columns])
        settings = (_setting(advice[column], likely.get(column)) for column in advised)
        remedy = f"Name the right {'one' if len(advised) == 1 else 'ones'}: {' '.join(settings)}"
    raise UserError(f"{file}: has no {named}. It has: {names}. {f'{seen}. ' if seen else ''}{remedy}")


def _likely_names(missing: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """Columns that differ from missing ones in capitals and signs only; or that are alone left for the only one."""
    alike = {column: [name for name in others if _letters(name) == _letters(column)] for column in missing}
    likely = {column: names[0] for column, names in alike.items() if len(names) == 1}
    rest, left = set(missing) - likely.keys(), set(others) - set(likely.values())
    if likely and len(rest) == len(left) == 1:
        likely[rest.pop()] = left.pop()
    return likely


def _letters(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _setting(advice: str, name: str | None) -> str:
    """Advice with a column's name in it, as a shell takes it."""
    option, _, setting = advice.partition(" ")
    if name is None or not setting:
        return advice
    return f"{option} {shlex.quote(setting.partition('=')[0] + '=' + name)}"
