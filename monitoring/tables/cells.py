"""What a cell of a table could be, by its looks: a number, a time, a total, and so a row a header or a record."""

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"[-+−(]?[$€£¥]?\s?[-+]?(\d[\d.,'’_\s]*|\.\d+)([eE][-+]?\d+)?\s?[%€$£¥)]?")
_TIME = re.compile(
    r"\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?([T ].*)?|\d{1,2}[:.]\d{2}([:.]\d{2}([.,]\d+)?)?( ?[AaPp]\.?[Mm]\.?)?"
    r"|\d{4}-?([QqWw]|KW)\d{1,2}|\d{1,2}[-. ][A-Za-zÀ-ÿ]{3,9}[-. ]\d{2,4}.*|[A-Za-zÀ-ÿ]{3,9}[-. ,]+\d{1,2}.*\d{2,4}.*"
)
_TOTAL = re.compile(
    r"(grand |sub|sub-)?totals?|total (general|général)|totale|totaux|sum|summe|summen|gesamt|gesamtsumme|insgesamt|"
    r"somme|suma|somma|soma|итого|всего|合计|总计|小计|합계|averages?|mean|mittelwert|durchschnitt|moyenne|promedio|media",
    re.IGNORECASE,
)
_FEWEST = 3  # rows to tell by what a column holds


def is_value(cell: str) -> bool:
    """Whether a cell looks like a number or a time.

    Example:
        >>> [is_value(cell) for cell in ("-1.049,5", "2024-03-10 18:00", "Total", "")]
        [True, True, False, False]
    """
    cell = cell.strip()
    return bool(_NUMBER.fullmatch(cell) or _TIME.fullmatch(cell))


def is_total(cells: Sequence[str], above: Sequence[Sequence[str]]) -> bool:
    """Whether a last row says the total of those above, of which its first word's column holds numbers or times."""
    for column, cell in enumerate(cells):
        if cell.strip():
            found = [row[column] for row in above if column < len(row) and row[column].strip()]
            found = [one for one in found if not _is_total(one)]
            return _is_total(cell) and bool(found) and all(map(is_value, found))
    return False


def _is_total(cell: str) -> bool:
    return bool(_TOTAL.fullmatch(cell.strip().rstrip(":").rstrip()))


def looks_like_record(cells: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a first row is one as those below: numbers and times where they have some, or a text that they repeat.

    Example:
        >>> looks_like_record(["7", "fine"], [["8", "bad"], ["9", "fine"]])
        True
        >>> looks_like_record(["id", "fine"], [["8", "bad"], ["9", "fine"]])
        False
    """
    typed = repeated = False
    for column, cell in enumerate(cells):
        found = [row[column] for row in below if column < len(row) and row[column].strip()]
        if found and all(map(is_value, found)):
            if not is_value(cell):
                return False
            typed = True
        repeated |= bool(cell.strip()) and cell in found
    return typed or repeated


def record_test(records: Sequence[Sequence[str]]):
    """What tells whether cells could be a record like those that are known.

    Columns that hold numbers, times, a few values or names of files are compared; where there are none, nothing is
    taken for a record.
    """
    tests = []
    for column in range(max(map(len, records), default=0)):
        found = [row[column].strip() for row in records if column < len(row) and row[column].strip()]
        test = _test_of(found)
        if test:
            tests.append((column, test))

    def is_record(cells: Sequence[str]) -> bool:
        return bool(tests) and all(column < len(cells) and test(cells[column]) for column, test in tests)

    return is_record


def _test_of(found: Sequence[str]):
    if len(found) < _FEWEST:
        return None
    if all(map(is_value, found)):
        return is_value
    values = set(found)
    if len(values) <= max(2, len(found) / 5):
        return values.__contains__
    endings = {cell.rpartition(".")[2] if "." in cell else "" for cell in found}
    if "" not in endings and len(endings) <= 3 and all(len(one) <= 5 and one.isalnum() for one in endings):
        return lambda cell: "." in cell and cell.rpartition(".")[2] in endings and "\n" not in cell
    return None
