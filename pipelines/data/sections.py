"""Keys that sections of several tasks have in common, and what to say of a column that is not there."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from unroll.pipelines.training.config import Section

Names = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
"""One or several columns."""

SplitColumn = Annotated[str | None, Field(description="column saying train, validation or test; null: a hash decides")]
GroupColumn = Annotated[
    str | None, Field(description="column by which metrics are also given, such as a source; null: none")
]
Delimiter = Annotated[
    str | None,
    Field(
        min_length=1, max_length=1, description="what separates the columns of a CSV file; null: a comma, of .tsv a tab"
    ),
]
Encoding = Annotated[str, Field(description="encoding of text files, such as utf-8, latin-1 or utf-16")]


class RecordSection(Section):
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
    delimiter: Delimiter = None
    encoding: Encoding = "utf-8"


def column_advice(section: Section) -> dict[str, str]:
    """By column, how to name another one.

    Example:
        >>> column_advice(RecordSection(group="source"))["source"]
        '--set data.group=COLUMN (null: none)'
    """
    advice: dict[str, str] = {}
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        for name in value if isinstance(value, list) else [value]:
            if isinstance(name, str):
                advice.setdefault(name, f"--set data.{key}=COLUMN{' (null: none)' if field.default is None else ''}")
    return advice
