"""Names of time zones behind times: of the IANA database, of Windows, and abbreviations that several zones have."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pyarrow as pa
import pyarrow.compute as pc

WINDOWS = {
    "W. Europe": "Europe/Berlin", "Romance": "Europe/Paris", "Central Europe": "Europe/Budapest",
    "Central European": "Europe/Warsaw", "GMT": "Europe/London", "FLE": "Europe/Helsinki", "GTB": "Europe/Bucharest",
    "E. Europe": "Europe/Chisinau", "Russian": "Europe/Moscow", "Turkey": "Europe/Istanbul",
    "Eastern": "America/New_York", "Central": "America/Chicago", "Mountain": "America/Denver",
    "Pacific": "America/Los_Angeles", "US Mountain": "America/Phoenix", "Alaskan": "America/Anchorage",
    "Hawaiian": "Pacific/Honolulu", "Atlantic": "America/Halifax", "Newfoundland": "America/St_Johns",
    "E. South America": "America/Sao_Paulo", "Argentina": "America/Buenos_Aires", "SA Pacific": "America/Bogota",
    "Central Standard Time (Mexico)": "America/Mexico_City", "Pacific SA": "America/Santiago",
    "Israel": "Asia/Jerusalem", "Arabian": "Asia/Dubai", "Arab": "Asia/Riyadh", "Iran": "Asia/Tehran",
    "India": "Asia/Kolkata", "China": "Asia/Shanghai", "Singapore": "Asia/Singapore", "Taipei": "Asia/Taipei",
    "Tokyo": "Asia/Tokyo", "Korea": "Asia/Seoul", "SE Asia": "Asia/Bangkok", "Egypt": "Africa/Cairo",
    "South Africa": "Africa/Johannesburg", "AUS Eastern": "Australia/Sydney", "E. Australia": "Australia/Brisbane",
    "Cen. Australia": "Australia/Adelaide", "W. Australia": "Australia/Perth", "New Zealand": "Pacific/Auckland",
}  # fmt: skip
"""Zones by what Windows calls their standard time."""
_SHORT = {"ET": "America/New_York", "CT": "America/Chicago", "MT": "America/Denver", "PT": "America/Los_Angeles"}
_SEVERAL = {
    "CST": ("America/Chicago", "Asia/Shanghai"),
    "CDT": ("America/Chicago", "America/Havana"),
    "IST": ("Asia/Kolkata", "Asia/Jerusalem", "Europe/Dublin"),
    "BST": ("Europe/London", "Asia/Dhaka"),
    "AST": ("America/Halifax", "Asia/Riyadh"),
    "SST": ("Pacific/Pago_Pago", "Asia/Singapore"),
}
"""Zones, of those that a name may mean; that which most people mean by it comes first."""
_COMPANY = {
    frozenset({"CST", "CDT"}): "America/Chicago",
    frozenset({"IST", "IDT"}): "Asia/Jerusalem",
    frozenset({"GMT", "BST"}): "Europe/London",
    frozenset({"GMT", "IST"}): "Europe/Dublin",
    frozenset({"AST", "ADT"}): "America/Halifax",
}
"""Zones that have both names: by one of them alone it is not told."""
_NAME = r"[A-Z][A-Za-z_.]*(?:/[A-Za-z_/+-]+|(?: [A-Za-z.]+)* Standard Time)|[ECMP]T|[A-Z]{3}"
_ZONE = rf"(?P<at>\d(?: ?[AaPp]\.?[Mm]\.?)?Z?|[+-]\d\d:?\d\d) ?[\[(]?(?P<zone>{_NAME})[\])]?$"
_FIRST = datetime(2024, 1, 1)


def without_zones(text: pa.Array, named: str = "") -> tuple[pa.Array, str]:
    """Texts without the name of a zone behind them, and that zone; abbreviations become UTC offsets.

    Args:
        text: trimmed, "" where there is none.
        named: zone that is known, which tells what an abbreviation means.

    Example:
        >>> text, zone = without_zones(pa.array(["2026-01-31 13:00 [Europe/Berlin]", ""]))
        >>> text.to_pylist(), zone
        (['2026-01-31 13:00', ''], 'Europe/Berlin')
        >>> without_zones(pa.array(["2026-01-31 13:00 CST", "2026-07-31 13:00 CDT"]))[0].to_pylist()
        ['2026-01-31 13:00 -0600', '2026-07-31 13:00 -0500']
    """
    first = next((one for one in text.slice(0, 10).to_pylist() if one), "")
    if not pc.match_substring_regex(pa.scalar(first), _ZONE).as_py():
        return text, ""
    found = pc.extract_regex(text, _ZONE)
    names = set(pc.unique(pc.struct_field(found, "zone").drop_null()).to_pylist())
    if len(names) == 1 and found.null_count == (pc.sum(pc.equal(text, "")).as_py() or 0):
        zone = zone_called(next(iter(names)))
        if zone:
            return pc.replace_substring_regex(text, _ZONE, r"\1"), zone
    if not names & _SEVERAL.keys():
        return text, ""
    known = named or next((zone for both, zone in _COMPANY.items() if both <= names), "")
    offsets = abbreviations(known) if known else {}
    for name in names:
        offset = offsets.get(name) or (next(iter(offsets.values()), "") if known in meant_by(name) else "")
        if offset:  # the database has no letters for some zones
            text = pc.replace_substring_regex(text, rf" ?\(?{name}\)?$", f" {offset}")
    return text, ""


def zone_called(name: str) -> str:
    """The IANA zone of a name that a zone has, in any case, or of Windows' name; empty of other names.

    Example:
        >>> zone_called("W. Europe Standard Time"), zone_called("europe/berlin"), zone_called("CST")
        ('Europe/Berlin', 'Europe/Berlin', '')
    """
    windows = WINDOWS.get(name) or WINDOWS.get(name.removesuffix(" Standard Time") if " " in name else "")
    if windows or name in _SHORT:
        return windows or _SHORT[name]
    if "/" not in name:
        return ""
    return next((zone for zone in available_timezones() if zone.lower() == name.lower()), "")


def meant_by(abbreviation: str) -> tuple[str, ...]:
    """Zones of which an abbreviation may be the name, the likeliest first; none of one that is told."""
    return _SEVERAL.get(abbreviation.upper(), ())


def abbreviations(zone: str) -> dict[str, str]:
    """UTC offsets by the names that a zone has through a year, such as CST and CDT.

    Example:
        >>> abbreviations("America/Chicago")
        {'CST': '-0600', 'CDT': '-0500'}
    """
    if zone not in available_timezones():
        return {}
    times = [(_FIRST + timedelta(days=30 * month)).replace(tzinfo=ZoneInfo(zone)) for month in range(12)]
    return {time.strftime("%Z"): time.strftime("%z") for time in times}
