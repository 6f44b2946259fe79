"""What stands around times and is none of them."""

import pyarrow as pa
import pyarrow.compute as pc

INVISIBLE = r"[\x{feff}\x{200b}-\x{200f}\x{2060}]"
_BLANKS = r"[\s\x{a0}\x{2007}\x{202f}\x{3000}]+"
_START = r"^(\S.*\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:z| ?\(?[a-z]{3,4}\)?)?)(?: (?:-|\x{2013}|to|bis) |/)\S.*\d:\d\d.*$"
_DATE = r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}"
_WEEKDAYS = (
    "mon|tue|tues|wed|thu|thur|thurs|fri|sat|sun|monday|tuesday|wednesday|thursday|friday|saturday|sunday|mo|di|mi|do|fr|"
    "sa|so|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|lun|mar|mer|jeu|ven|sam|dim|lundi|mardi|mercredi|"
    "jeudi|vendredi|samedi|dimanche|mie|jue|vie|sab|dom|seg|ter|qua|qui|sex"
)
_TIDIED = (
    (r"\s\s|[^\x00-\x7f]|\t", _BLANKS, " "),
    (r"\]$", r"\[[\w/+-]+\]$", ""),  # Java's names of zones, behind an offset
    (r"^/date\(", r"^/date\((-?\d+)(?:[+-]\d{4})?\)/$", r"\1"),  # JSON of .NET
    (r"^['\x22]|['\x22]$", r"^['\x22]|['\x22]$", ""),
    (r"\)$", r"([+-]\d\d:?\d\d) \(.*\)$", r"\1"),  # JavaScript
    (r"\)$", r"\(([a-z]{3,4}|(?:utc|gmt)[+-]\d{1,2}(?::?\d\d)?)\)$", r"\1"),
    (r"^\[", r"^\[(.*)\]$", r"\1"),  # logs of web servers
    (r"\p{L}\.?\)?$", rf" \(?(?:{_WEEKDAYS})\.?\)?$", ""),
    (r" (?:at|um|à|a las|às|kl\.?|om) \d", r",? (?:at|um|à|a las|às|kl\.?|om) (\d)", r" \1"),
    (rf"^{_DATE}.*\d$", rf"^({_DATE})(?: ?(?:-|\x{{2013}}|to|bis) ?|/){_DATE}$", r"\1"),  # of weeks, the first day
    (r"noon$", r"(?:12 ?)?noon$", "12:00 pm"),
    (r"midnight$", r"(?:12 ?)?midnight$", "12:00 am"),
    (r":\d\d.*(?: |/).*:\d\d", _START, r"\1"),
)
"""What to look for, and what to write instead of what."""
_EAST_ASIAN = (
    (r"(上午|오전) ?([\d:]+)", r"\2 am"),
    (r"(下午|오후) ?([\d:]+)", r"\2 pm"),
    (r"[年년] ?", "-"),
    (r"[月월] ?(\d)", r"-\1"),
    (r"[日일] ?", " "),
    (r"[时時시点分분] ?(\d)", r":\1"),
    (r"[月월时時시点分분秒초]", ""),
)
_UNTIDY = "|".join(mark for mark, _, _ in _TIDIED)


def tidied(text: pa.Array) -> pa.Array:
    """Times in small letters, blanks single, of intervals the start, of what programs write around a time nothing.

    Args:
        text: in small letters.

    Example:
        >>> tidied(pa.array(["[31/jan/2026:13:00:00 +0000]", "31.01.2026 (sa)"])).to_pylist()
        ['31/jan/2026:13:00:00 +0000', '31.01.2026']
    """
    if not pc.any(pc.match_substring_regex(text, _UNTIDY)).as_py():
        return text
    for mark, pattern, instead in _TIDIED:
        if pc.any(pc.match_substring_regex(text, mark)).as_py():
            text = pc.replace_substring_regex(text, pattern, instead)
    if pc.any(pc.match_substring_regex(text, r"\d ?[年년月월时時시点]|[午오]")).as_py():
        for pattern, instead in _EAST_ASIAN:
            text = pc.replace_substring_regex(text, pattern, instead)
        text = pc.utf8_trim_whitespace(text)
    return text
