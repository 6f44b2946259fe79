"""Whose names a request may call this server by.

A page of another site can have its own name lead to 127.0.0.1 and then read what the server on this machine answers, as
if it were that site's (DNS rebinding). The name in the request's `Host` gives it away.
"""

import ipaddress
import re
from collections.abc import Collection

_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::\d*)?")
_MAX_REMEMBERED = 64


class Hosts:
    """Names by which a server may be asked, besides addresses and localhost, which no site can take.

    Args:
        names: further ones, in lower case. `*` stands for any.
    """

    def __init__(self, names: Collection[str] = ()) -> None:
        self._names = frozenset(names)
        self._accepted: set[str] = set()

    def accept(self, header: str) -> bool:
        """Whether a request with this `Host` is answered. One without any is not a browser's.

        Example:
            >>> Hosts(["models.example"]).accept("127.0.0.1:8501"), Hosts().accept("attacker.example:8501")
            (True, False)
        """
        if header in self._accepted:
            return True
        if accepted := self._accepts(header):
            if len(self._accepted) >= _MAX_REMEMBERED:
                self._accepted.clear()
            self._accepted.add(header)
        return accepted

    def _accepts(self, header: str) -> bool:
        found = _HOST.fullmatch(header)
        if found is None:
            return False
        name = found[1].lower().removesuffix(".")
        if name in ("", "localhost") or name.endswith(".localhost") or {name, "*"} & self._names:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


def for_address(address: str, names: Collection[str]) -> Hosts | None:
    """Who may be called what on a server that listens on an address.

    Args:
        address: as `--host` says. Beyond this machine, whoever set the server up chose its names.
        names: that are allowed expressly.

    Returns:
        The names, or None where any is taken.
    """
    try:
        local = address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        local = False
    return Hosts([name.lower() for name in (address, *names)]) if local or names else None
