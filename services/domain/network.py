"""Whom a client's address stands for, when attempts are counted: a network, not a machine.

A household or an office has an IPv4 /24 or less, and an IPv6 /48; who counts by address counts nothing.
"""

from ipaddress import IPv6Address, ip_address, ip_network

_V4_BITS, _V6_BITS = 24, 48


def network_of(address: str) -> str:
    """Name the network of a client; what is no IP address is a network of its own.

    >>> network_of("192.0.2.77"), network_of("2001:db8:1:2::3"), network_of("::ffff:192.0.2.77")
    ('192.0.2.0/24', '2001:db8:1::/48', '192.0.2.0/24')
    >>> network_of("testclient")
    'unknown'
    """
    try:
        place = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(place, IPv6Address) and place.ipv4_mapped:
        place = place.ipv4_mapped
    bits = _V4_BITS if place.version == 4 else _V6_BITS
    return str(ip_network(f"{place}/{bits}", strict=False))
