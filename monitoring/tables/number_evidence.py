"""How the numbers of a column are written, found by looking at all of them."""

import json
import re
from collections import defaultdict
from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from unroll.monitoring.missing import SPELLINGS
from unroll.monitoring.tables.format import TableFormat
from unroll.monitoring.tables.number_format import SIGNS, TRUTH, NumberFormat

_NUMBER = re.compile(r"[-+]?(\d*)((?:[.,'’_\s]\d+)*)[.,]?(?:[eE][-+]?\d+)?")
_GROUP = re.compile(r"([.,'’_\s])(\d+)")
_SIGN = re.compile(rf"\s?([{re.escape(SIGNS)}])\s?")
_INFINITE = re.compile(r"[-+]?inf(inity)?", re.IGNORECASE)
_KEPT = 3  # examples of each form
_ENOUGH = 3  # groups of three digits that are no accident
_FEWEST, _TIMES = 20, 10  # numbers, and times as many as texts, of a column that should be one of numbers
_CURRENCY = (
    r"R\$|[ACHNS]\$|NT\$|US\$|[kK]r\.?|zł|Kč|Ft|lei|Rs\.?|Rp\.?|Fr\.?|[₽₩₺₫₴₦฿₱₪]|AUD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|HKD"
    "|HUF|IDR|ILS|INR|JPY|KRW|MXN|MYR|NOK|NZD|PHP|PLN|RON|RUB|SEK|SGD|THB|TRY|TWD|USD|ZAR"
)
_LETTER = "A-Za-zÀ-ɏΩµμ°‰"
_BEFORE = rf"(?:[-+−(]\s?)?({_CURRENCY})\s?[-+−(]?\d.*"
_BEHIND = rf"[-+−]?[\d.,'’\s]*\d\s?([{_LETTER}][{_LETTER}\d%/²³^·.]{{0,9}})"
_UNIT = re.compile(f"{_BEFORE}|{_BEHIND}")
_DISGUISED = re.compile(r"[^\d.,:/]{0,4}[-+]?\d[\d\s]*[.,]\d+[^\d.,:/]{0,4}([-+]?\d{1,3})?")
"""A number with a fraction, and what hides it."""


class AmbiguousError(Exception):
    """Numbers that could mean two things.

    Args:
        row: of an example.
        problem: what was found, as a clause after the column's name.
        settings: that each say what is meant; without one the numbers have to be written otherwise.
    """

    def __init__(self, row: int, problem: str, settings: Collection[str] = ()):
        super().__init__(problem)
        self.row = row
        self.problem = problem
        self.settings = list(settings)


class NumberEvidence:
    """What the texts of one column could be.

    Args:
        table_format: what a person states.
        commas: whether the table is written as people do who write decimal commas, such as with the day first in
            dates with points. A table with semicolons is.

    Example:
        >>> evidence = NumberEvidence(TableFormat())
        >>> evidence.add(pa.array(["900", "1,049", "1,112", "1,159"]), 2)
        >>> evidence.decide().thousands
        ','
    """

    def __init__(self, table_format: TableFormat, *, commas: bool = False):
        self._format = table_format
        self._commas = commas or table_format.delimiter == ";"
        self._forms: dict[str, dict[str, int]] = defaultdict(dict)
        self._signs: set[str] = set()
        self._missing = {*SPELLINGS, *table_format.missing}
        self._numbers = self._unsigned = 0
        self._negative = False
        self._unit: str | None = None
        self.first_text: tuple[int, str] | None = None
        """The first cell that is not a number in any format, with its row."""

    @property
    def is_text(self) -> bool:
        """Whether most cells are not numbers."""
        texts = len(self._forms["text"])
        return texts > _KEPT and texts > self._numbers

    @property
    def is_plain(self) -> bool:
        """Whether what is a number is written as programs write it."""
        return all(form in ("text", "small", "long", "decimal.") for form, cells in self._forms.items() if cells)

    def has_fractions(self, decimal: str) -> bool:
        """Whether some number has a part behind this decimal mark."""
        forms = [form for form, cells in self._forms.items() if cells]
        return any(form.startswith(("decimal", "both")) or form == f"grouped{decimal}" for form in forms)

    @property
    def decimal_marks(self) -> set[str]:
        """Marks that some number leaves no doubt about."""
        forms = [form for form, cells in self._forms.items() if cells]
        marks = {form[-1] for form in forms if form.startswith(("decimal", "both"))}
        return marks | {"." if form == "many," else "," for form in forms if form in ("many,", "many.")}

    def add(self, texts: pa.Array, first_row: int) -> None:
        """Takes further cells.

        Args:
            texts: of the column.
            first_row: number of the first of them.
        """
        cells = pc.fill_null(pc.utf8_trim_whitespace(texts), "")
        for cell in pc.unique(cells).to_pylist():
            if cell in self._missing:
                continue
            if self._unit is None:
                self._unit = _unit_of(cell)
            form = self._form(cell)
            if form == "text":
                self._forms[form][cell] = 0
                if self.first_text is None:
                    self.first_text = (first_row + pc.index(cells, cell).as_py(), cell)
                if self.is_text:
                    return
            elif len(self._forms[form]) < _KEPT:
                self._forms[form].setdefault(cell, first_row + pc.index(cells, cell).as_py())

    def decide(self, elsewhere: Collection[str] = ()) -> NumberFormat | None:
        """The format, or None of a column that does not hold numbers.

        Args:
            elsewhere: decimal marks of other columns of the file.

        Raises:
            AmbiguousError: digits with separators that could mean two things.
        """
        forms = {form for form, cells in self._forms.items() if cells}
        if not forms:
            return NumberFormat()
        if forms == {"text"}:
            self._check_disguised()
            return NumberFormat(truth=True) if self._is_truth() else None
        separated = [form for form in forms if form[0] in "gmdb" and form != "decimal."]
        if "text" in forms:
            cells = list(self._forms["text"])
            few = len(cells) <= _KEPT and self._numbers >= max(_FEWEST, _TIMES * len(cells))
            if few or (not self.is_text and (separated or self._numbers >= _FEWEST)):
                row, cell = self.first_text or (0, "")
                shown = self._shown(separated[0] if separated else min(forms - {"text"}))
                words = len(cells) <= _KEPT and not any(map(_unit_of, cells))
                stated = [*dict.fromkeys([*self._format.missing, *cells])]
                missing = [f"data.missing=[{', '.join(map(_quoted, stated))}]"] if words else []
                raise AmbiguousError(row, f"holds {cell!r} beside numbers such as {shown!r}", missing)
            self._check_disguised()
            return None
        if "coded," in forms and self._format.decimal is None:
            problem = f"holds {self._shown('coded,')!r}, in which the comma may stand between two values"
            raise AmbiguousError(self._row("coded,"), problem, ["data.decimal=,"])
        if len(self._signs) > 1 or (self._signs and self._unsigned):
            raise AmbiguousError(self._row(min(forms)), f"holds numbers with and without the sign {min(self._signs)}")
        decimal, thousands = self._marks(forms, elsewhere)
        return NumberFormat(decimal, thousands, next(iter(self._signs), ""), self._negative)

    def _check_disguised(self) -> None:
        """Refuses numbers such as 1.5e*, 1.5D+03 and '1.5'; other texts are not numbers."""
        cells = list(self._forms["text"])
        if all(map(_DISGUISED.fullmatch, cells)):
            row, cell = self.first_text or (0, "")
            raise AmbiguousError(row, f"holds numbers that something hides, such as {cell!r}")

    def _form(self, cell: str) -> str:
        """How a cell is written: `small` and `long` whole numbers, `grouped,` `many,` `decimal,` `both.,` or text."""
        if _INFINITE.fullmatch(cell):
            return "small"
        body = cell.replace("−", "-")
        signs = [self._unit] if self._unit and self._unit in body else _SIGN.findall(body)
        if signs:
            body = re.sub(rf"\s?{re.escape(signs[0])}\s?", "", body, count=1)
        bare = body
        if body.startswith("(") and body.endswith(")"):
            body = f"-{body[1:-1]}"
        elif body.endswith("-") and "-" not in body[:-1]:
            body = f"-{body[:-1]}"
        negative = body != bare or "−" in cell
        number = _NUMBER.fullmatch(body)
        if number is None or not any(character.isdigit() for character in body):
            return "text"
        form = _form_of(number[1], [(_mark(mark), digits) for mark, digits in _GROUP.findall(number[2])])
        if form != "text":
            self._numbers += 1
            self._signs.update(signs)
            self._unsigned += not signs
            self._negative |= negative
        return form

    def _marks(self, forms: Collection[str], elsewhere: Collection[str]) -> tuple[str, str | None]:
        decimal, thousands = self._format.decimal, self._format.thousands
        for form in forms:
            if form.startswith("both"):
                thousands, decimal = thousands or form[4], decimal or form[5]
            elif form.startswith("many"):
                thousands = thousands or form[4]
            elif form[0] == "g" and form[-1] not in ".,":
                thousands = thousands or form[-1]
        seen = {mark for mark in ".," if f"decimal{mark}" in forms and mark != thousands}
        if decimal is None and len(seen) == 2:
            shown = f"{self._shown('decimal.')!r} and {self._shown('decimal,')!r}"
            raise AmbiguousError(self._row("decimal,"), f"is written in two ways: {shown}")
        if decimal is None and seen:
            decimal = seen.pop()
            if decimal == "," and len(self._forms["decimal,"]) < 2:
                problem = f"holds {self._shown('decimal,')!r}, and no other number with a comma"
                raise AmbiguousError(self._row("decimal,"), problem, ["data.decimal=,"])
        for mark in ".,":
            if f"grouped{mark}" in forms and mark not in (decimal, thousands):
                if decimal is not None:
                    thousands = thousands or mark
                elif thousands is not None:
                    decimal = mark
                else:
                    decimal, thousands = self._groups(mark, forms, elsewhere)
        return decimal or ("," if thousands == "." else "."), thousands

    def _groups(self, mark: str, forms: Collection[str], elsewhere: Collection[str]) -> tuple[str | None, str | None]:
        """What a mark before three digits means where no number says it by itself: 1.049, and 1,049."""
        other = "." if mark == "," else ","
        if (mark in elsewhere) != (other in elsewhere):
            return (mark, None) if mark in elsewhere else (None, mark)
        whole = "small" in forms and "long" not in forms
        if whole and len(self._forms[f"grouped{mark}"]) >= _ENOUGH:
            return None, mark  # a fraction would now and then have one digit or two
        if not whole and mark == "." and ("long" in forms or not self._commas):
            return mark, None
        name = "a thousands comma or a decimal comma" if mark == "," else "a thousands point or a decimal point"
        problem = f"holds numbers such as {self._shown(f'grouped{mark}')!r}, with {name}"
        settings = [f"data.thousands={mark}", f"data.decimal={mark}"]
        raise AmbiguousError(self._row(f"grouped{mark}"), problem, settings)

    def _shown(self, form: str) -> str:
        return next(iter(self._forms[form]))

    def _row(self, form: str) -> int:
        return next(iter(self._forms[form].values()))

    def _is_truth(self) -> bool:
        return {cell.lower() for cell in self._forms["text"]} <= TRUTH[0] | TRUTH[1]


def _quoted(cell: str) -> str:
    """An element of a list in YAML."""
    return cell if re.fullmatch(r"[\w.%/-]+", cell) else json.dumps(cell, ensure_ascii=False)


def _mark(character: str) -> str:
    return "'" if character == "’" else character if character in ".,'_" else " "


def _unit_of(cell: str) -> str:
    """What is written before or behind a number: a currency, or a unit."""
    found = _UNIT.fullmatch(cell.strip())
    return (found[1] or found[2] or "") if found else ""


def _form_of(whole: str, groups: list[tuple[str, str]]) -> str:
    if not groups:
        return "small" if len(whole) <= 3 else "long"
    marks = [mark for mark, _ in groups]
    first, last = marks[0], marks[-1]
    threes = 1 <= len(whole) <= 3 and not whole.startswith("0")
    if len(groups) == 1:
        if threes and len(groups[0][1]) == 3:
            return f"grouped{first}"
        if first not in ".,":
            return "text"
        return "coded," if first == "," and whole.startswith("00") else f"decimal{first}"
    thousands = groups[:-1] if last != first else groups
    grouped = threes and all(mark == first and len(digits) == 3 for mark, digits in thousands)
    indian = threes and first == "," and all(mark == "," and len(digits) in (2, 3) for mark, digits in thousands)
    if not (grouped or (indian and len(thousands[-1][1]) == 3)):
        return "text"
    if thousands is groups:
        return f"many{first}"
    return f"both{first}{last}" if last in ".," else "text"
