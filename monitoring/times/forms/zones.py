"""UTC offsets and names of time zones, as they stand behind a time."""

from unroll.monitoring.times.forms.reading import NO_OFFSET

_FARTHEST = 15 * 3600  # of all offsets there have ever been
_ZONES = {
    "wet": 0,
    "west": 1,
    "cet": 1,
    "cest": 2,
    "mez": 1,
    "mesz": 2,
    "eet": 2,
    "eest": 3,
    "msk": 3,
    "jst": 9,
    "kst": 9,
    "est": -5,
    "edt": -4,
    "cdt": -5,
    "mst": -7,
    "mdt": -6,
    "pst": -8,
    "pdt": -7,
    "aest": 10,
    "aedt": 11,
    "nzst": 12,
    "nzdt": 13,
    "sast": 2,
    "cat": 2,
    "eat": 3,
    "wat": 1,
    "trt": 3,
    "idt": 3,
    "pkt": 5,
    "wib": 7,
    "hkt": 8,
    "sgt": 8,
    "awst": 8,
    "acst": 9.5,
    "acdt": 10.5,
    "brt": -3,
    "art": -3,
    "clst": -3,
    "clt": -4,
    "adt": -3,
    "akst": -9,
    "akdt": -8,
    "hst": -10,
    "utc": 0,
    "gmt": 0,
}
"""Hours east of UTC; not of names that several zones have (CST, IST, BST)."""


def zone_offset(text: str) -> int:
    """Seconds east of UTC of an offset or a zone's name in small letters; `NO_OFFSET` where it is none.

    Example:
        >>> [zone_offset(text) for text in ("z", "+05:30", "-0800", "utc+1", "cest")]
        [0, 19800, -28800, 3600, 7200]
    """
    if not text:
        return NO_OFFSET
    if text in _ZONES:
        return int(_ZONES[text] * 3600)
    text = text.removesuffix(" utc").removesuffix(" gmt").removeprefix("utc").removeprefix("gmt").removeprefix("z")
    if text[:1] not in ("", "+", "-"):
        return NO_OFFSET
    digits = text[1:].replace(":", "")
    hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "")
    east = int(hours or 0) * 3600 + int(minutes or 0) * 60
    if east > _FARTHEST:
        return NO_OFFSET
    return -east if text.startswith("-") else east
