"""How numbers are written in a column, and its texts as numbers."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from unroll.monitoring.missing import SPELLINGS

TRUTH = ({"true", "yes", "t", "y", "on", "ja", "wahr", "oui", "vrai", "sí", "si", "verdadero", "vero", "sim"},
         {"false", "no", "f", "n", "off", "nein", "falsch", "non", "faux", "falso", "não", "nao"})  # fmt: skip
"""Words that are 1 and 0, in small letters."""
SIGNS = "$€£¥₹%"
_MARKS = {" ": "[\\s\u00a0\u202f\u2009]", "'": "['’]", ".": r"\.", ",": ",", "_": "_"}  # for Arrow's RE2 and for re
_WORDS = {",": "comma", ".": "point", " ": "blank", "'": "apostrophe", "_": "underscore"}


@dataclass(frozen=True)
class NumberFormat:
    """How the numbers of a column are written.

    Args:
        decimal: what stands before the fraction.
        thousands: what stands between groups of three digits; None: nothing.
        sign: of a currency or per cent, or a unit such as kWh, that stands beside every number.
        negative: whether some are written −5, 5- or (5).
        truth: words for true and false, which become 1 and 0.

    Example:
        >>> NumberFormat(",", ".").floats(pa.array(["1.049,5", "", "-2"])).to_pylist()
        [1049.5, None, -2.0]
    """

    decimal: str = "."
    thousands: str | None = None
    sign: str = ""
    negative: bool = False
    truth: bool = False

    @property
    def plain(self) -> bool:
        """As programs write them."""
        return self == NumberFormat()

    def floats(self, texts: pa.Array, missing: Sequence[str] = ()) -> pa.Array:
        """Float64; null where a value is missing.

        Args:
            texts: of the column.
            missing: what stands for a missing value, beside what always does.

        Raises:
            pa.ArrowInvalid: a text that is not a number in this format. `first_wrong` finds it.
        """
        cells = self._cells(texts, missing)
        if self.truth:
            lower = pc.utf8_lower(cells)
            true, false = (pc.is_in(lower, pa.array(sorted(words))) for words in TRUTH)
            if not pc.all(pc.or_(true, pc.or_(false, pc.is_null(cells))), min_count=0).as_py():
                raise pa.ArrowInvalid("neither true nor false")
            return pc.if_else(pc.is_valid(cells), true.cast(pa.float64()), None)
        if not self.plain:
            if not pc.all(pc.match_substring_regex(cells, self._pattern()), min_count=0).as_py():
                raise pa.ArrowInvalid("not a number in the format of its column")
            if self.thousands:
                cells = pc.replace_substring_regex(cells, _MARKS[self.thousands], "")
            cells = pc.replace_substring(cells, self.decimal, ".")
        return cells.cast(pa.float64())

    def number(self, text: str, missing: Sequence[str] = ()) -> float | None:
        """One text as `floats` reads many.

        Raises:
            ValueError: it is not a number in this format.
        """
        cell = text.strip()
        if cell in SPELLINGS or cell in missing:
            return None
        if self.truth:
            lower = cell.lower()
            if lower not in TRUTH[0] | TRUTH[1]:
                raise ValueError(text)
            return float(lower in TRUTH[0])
        if not self.plain:
            cell = cell.replace("−", "-")
            if self.sign:
                cell = re.sub(rf"\s?{re.escape(self.sign)}\s?", "", cell).strip()
            cell = re.sub(r"^(?:\((.+)\)|([^-]*)-)$", r"-\1\2", cell)
            if not re.match(self._pattern(), cell):
                raise ValueError(text)
            if self.thousands:
                cell = re.sub(_MARKS[self.thousands], "", cell)
            cell = cell.replace(self.decimal, ".")
        return float(cell)

    def first_wrong(self, texts: pa.Array, missing: Sequence[str] = ()) -> int:
        """Place of the first text that is not a number in this format; -1 if all are."""
        try:
            self.floats(texts, missing)
        except pa.ArrowInvalid:
            if len(texts) == 1:
                return 0
            half = len(texts) // 2
            first = self.first_wrong(texts[:half], missing)
            return first if first >= 0 else half + self.first_wrong(texts[half:], missing)
        return -1

    def described(self, *, fractions: bool = True) -> str:
        """In words, such as `a decimal comma, points between thousands`; of no `fractions` without the decimal mark."""
        words = [f"a decimal {_WORDS[self.decimal]}"] if fractions and self.decimal != "." else []
        if self.thousands:
            words.append(f"{_WORDS[self.thousands]}s between thousands")
        if self.sign:
            words.append(f"the {'sign' if self.sign in SIGNS else 'unit'} {self.sign}, which is taken off")
        if self.negative:
            words.append("negative ones as −5, 5- or (5)")
        if self.truth:
            words.append("words for true and false, read as 1 and 0")
        return ", ".join(words)

    def info(self) -> dict[str, Any]:
        """Plain JSON, of which `NumberFormat(**info)` makes the same."""
        return asdict(self)

    def _cells(self, texts: pa.Array, missing: Sequence[str]) -> pa.Array:
        """Trimmed, null where missing, without the sign, and with a minus that computers know."""
        if pa.types.is_dictionary(texts.type):
            texts = texts.dictionary_decode()
        cells = pc.utf8_trim_whitespace(texts.cast(pa.string()))
        cells = pc.if_else(pc.is_in(cells, pa.array([*SPELLINGS, *missing])), None, cells)
        if self.plain or self.truth:
            return cells
        cells = pc.replace_substring(cells, "−", "-")
        if self.sign:
            cells = pc.utf8_trim_whitespace(pc.replace_substring_regex(cells, rf"\s?{re.escape(self.sign)}\s?", ""))
        return pc.replace_substring_regex(cells, r"^(?:\((.+)\)|([^-]*)-)$", r"-\1\2")

    def _pattern(self) -> str:
        whole, decimal = r"\d+", _MARKS[self.decimal]
        if self.thousands:
            mark = _MARKS[self.thousands]
            whole = rf"(\d+|\d{{1,3}}({mark}\d{{2,3}})*{mark}\d{{3}})"
        return rf"^[-+]?({whole}({decimal}\d*)?|{decimal}\d+)([eE][-+]?\d+)?$"


PLAIN_NUMBERS = NumberFormat()
