"""Who counts as one client."""

import ipaddress


def network(address: str) -> str:
    """An IP address; of IPv6, the network that one client has to itself.

    Example:
        >>> network("192.0.2.1"), network("2001:db8::1:2:3")
        ('192.0.2.1', '2001:db8::/64')
    """
    if ":" not in address:
        return address
    parsed = ipaddress.IPv6Address(address)
    return str(parsed.ipv4_mapped or ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
