"""Years that are counted from elsewhere: of Japan's eras, of the Minguo calendar, of the Buddhist era."""

import re

import pyarrow as pa
import pyarrow.compute as pc

from unroll.monitoring.times.cells.buddhist_era import AHEAD, gregorian

_ERAS = {"令和": 2018, "平成": 1988, "昭和": 1925, "大正": 1911, "明治": 1867}
"""Of Japan, by what is added to their years."""
_LETTERS = {"R": 2018, "H": 1988, "S": 1925, "T": 1911, "M": 1867}
_LETTERED = r"^(?P<era>[RHSTM])(?P<y>\d{1,2})(?P<rest>[./年-]\d{1,2}[./月-]\d{1,2}.*|年.*)$"
_NAMED = rf"^(?P<era>{'|'.join(_ERAS)}) ?(?P<y>\d{{1,2}}|元)(?P<rest>[年./-].*)$"
_MINGUO = 1911
_CALLED = r"^(?:中華民國|中华民国|民國|民国) ?(?P<y>\d{1,3})(?P<rest>[年./-].*)$"
_WRITTEN = r"^(?P<y>\d{2,3})(?P<rest>[年./-]\d{1,2}[月./-]\d{1,2}日?(?: .*)?|年\d{1,2}月)$"
_DIGITS = r"^(?P<y>1[0-4]\d)(?P<rest>(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))$"


def common_years(text: pa.Array) -> tuple[pa.Array, str]:
    """Texts with the years of the common calendar, and what was done to them, in words; empty: nothing.

    Args:
        text: trimmed, "" where there is none.

    Example:
        >>> text, told = common_years(pa.array(["令和5年3月10日", "平成31年4月30日"]))
        >>> text.to_pylist()
        ['2023年3月10日', '2019年4月30日']
        >>> common_years(pa.array(["112/03/05", ""]))[0].to_pylist()
        ['2023/03/05', '']
    """
    first = next((one for one in text.slice(0, 10).to_pylist() if one), "")
    for pattern, eras, told in (
        (_NAMED, _ERAS, "Years are of Japan's eras: 令和5 is 2023."),
        (_LETTERED, _LETTERS, "Years are of Japan's eras: R5 is 2023, H30 is 2018."),
        (_CALLED, None, f"Years are of the Minguo calendar: {_MINGUO} are added."),
        (_WRITTEN, None, f"Years are of the Minguo calendar: {_MINGUO} are added."),
        (_DIGITS, None, f"Years are of the Minguo calendar: {_MINGUO} are added."),
    ):
        if re.match(pattern, first) and (found := _counted(text, pattern, eras)) is not None:
            return found, told
    earlier = gregorian(text)
    return (text, "") if earlier is None else (earlier, f"Years are of the Buddhist era: {AHEAD} are taken off.")


def _counted(text: pa.Array, pattern: str, eras: dict[str, int] | None) -> pa.Array | None:
    """Years of the common calendar; None where not all texts have one of the pattern."""
    found = pc.extract_regex(text, pattern)
    if not pc.all(pc.equal(found.is_valid(), pc.not_equal(text, ""))).as_py():
        return None
    year = pc.struct_field(found, "y")
    year = pc.cast(pc.if_else(pc.equal(year, "元"), "1", year), pa.int64())
    if eras is None:
        if pattern == _WRITTEN and (pc.max(year).as_py() < 100 or pc.max(year).as_py() >= 150):
            return None  # years of two digits are of the common calendar
        ahead = pa.scalar(_MINGUO)
    else:
        era = pc.struct_field(found, "era")
        names = pa.array(list(eras))
        ahead = pc.take(pa.array(list(eras.values()), pa.int64()), pc.index_in(era, names))
    whole, rest = pc.cast(pc.add(year, ahead), pa.string()), pc.struct_field(found, "rest")
    if pc.all(pc.equal(rest, "年")).as_py():
        return pc.fill_null(whole, "")
    return pc.fill_null(pc.binary_join_element_wise(whole, rest, ""), "")
