"""Keys that sections of several tasks have in common, and what to say of a column that is not there."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

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
    max_tokens: int = Field(256, ge=1, le=100_000, description="tokens kept of a text")
    vocabulary_size: int = Field(20_000, ge=1, le=2_000_000, description="words that are known at most")
    min_count: int = Field(1, ge=1, description="occurrences of a word in the train split to be known")


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
