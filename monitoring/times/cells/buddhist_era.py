"""Years of the Buddhist era, by which Thailand counts: 2567 is 2024."""

import pyarrow as pa
import pyarrow.compute as pc

AHEAD = 543
_FIRST, _LAST = 2500, 2620  # years that a column has none but
_MONTHS = 12  # 250113 may be a day of January 2025, 254013 of none
_BESIDE = r"(?:^|\D)(?P<y>2[56]\d\d)(?:\D|$)"
_DIGITS = r"^(?P<y>2[56]\d\d)(?:\d\d|\d{4})?$"


def gregorian(text: pa.Array) -> pa.Array | None:
    """Texts with the years of the common calendar, or None where not all years are of the Buddhist era.

    Before they are read as times: its 29 February 2567 is a day, since 2024 is a leap year.

    Args:
        text: trimmed, "" where there is none.

    Example:
        >>> gregorian(pa.array(["29/2/2567", ""])).to_pylist()
        ['29/2/2024', '']
        >>> gregorian(pa.array(["2567", "1999"])) is None
        True
    """
    first = next((one for one in text.slice(0, 10).to_pylist() if one), "")
    numbers = first.isdigit()
    pattern = _DIGITS if numbers else _BESIDE
    if not pc.match_substring_regex(pa.scalar(first), pattern).as_py():
        return None
    found = pc.extract_regex(text, pattern)
    if not pc.all(pc.equal(found.is_valid(), pc.not_equal(text, ""))).as_py():
        return None
    years = sorted(int(year) for year in pc.unique(pc.struct_field(found, "y").drop_null()).to_pylist())
    months = numbers and all(year % 100 <= _MONTHS for year in years)
    if years[0] < _FIRST or years[-1] > _LAST or months:
        return None
    for year in years:
        if numbers:
            text = pc.replace_substring_regex(text, f"^{year}", str(year - AHEAD))
        else:
            text = pc.replace_substring_regex(text, rf"(^|\D){year}(\D|$)", rf"\1{year - AHEAD}\2")
    return text
