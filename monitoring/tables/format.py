"""How a table is written in its file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TableFormat:
    """What a person states of a table's form; what is None is found by looking at the file.

    Args:
        delimiter: between cells; None: a comma, in `.tsv` a tab. A blank: any number of blanks and tabs.
        encoding: of text files.
        quote: character around cells that hold delimiters or line ends; None: quotation marks are text.
        escape: character before a quotation mark that is text; None: such marks are doubled.
        multiline: cells of several lines are read also where these look like records of their own.
        decimal: between a number's whole part and its fraction.
        thousands: between groups of three digits.
        missing: cells that stand for a missing value, beside those of `unroll.monitoring.missing`.
        header: True: the first row names the columns; False: they are named 1, 2, 3 and so on; or their names, of a
            file whose first row is a record.
        skip_rows: lines before the first row.
        skip_footer: lines after the last row.
        sheet: of a workbook: its name, or its number from 1.

    Example:
        >>> TableFormat(delimiter=";", decimal=",").encoding
        'utf-8'
    """

    delimiter: str | None = None
    encoding: str = "utf-8"
    quote: str | None = '"'
    escape: str | None = None
    multiline: bool = False
    decimal: str | None = None
    thousands: str | None = None
    missing: tuple[str, ...] = ()
    header: bool | tuple[str, ...] = True
    skip_rows: int | None = None
    skip_footer: int | None = None
    sheet: str | None = None


PLAIN = TableFormat()
"""What nobody said anything of."""
