"""Decides where a webhook may go: never to our own network, nor to anybody's private one.

Rules:
1. An address is refused unless it is public; one that the operator allowed is fine.
2. An address is judged by the place it leads to: IPv4 wrapped in IPv6 is unwrapped first.
3. A URL is checked here when it is registered; its address is judged again whenever we connect,
   because a name may point elsewhere by then.

Source: OWASP API7:2023; IANA special-purpose address registries (RFC 6890).
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, quote, urlsplit

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

MAX_URL_CHARACTERS = 2000
_DEFAULT_PORTS = {"https": 443, "http": 80}

#: What `is_global` lets through, in one Python version or another, and must not be reached.
_DENIED = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "this very machine"),
        ("100.64.0.0/10", "shared by a provider's customers"),
        ("168.63.129.16/32", "a cloud's own service"),
        ("192.0.0.0/24", "set apart for protocols"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("64:ff9b::/96", "translated to IPv4 (NAT64)"),
        ("64:ff9b:1::/48", "translated to IPv4 (NAT64)"),
        ("2001::/23", "set apart for protocols, such as Teredo"),
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "tunnelled to IPv4 (6to4)"),
        ("3fff::/20", "for documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
#: All public IPv6 unicast; whatever lies outside is reserved. Source: RFC 4291 section 2.4.
_UNICAST = IPv6Network("2000::/3")
_COMPATIBLE = IPv6Network("::/96")

_LOCAL_NAMES = (".localhost", ".local", ".localdomain", ".internal", ".home.arpa")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_ASCII = "".join(map(chr, range(0x21, 0x7F)))


def refusal(address: str, allowed: Networks) -> str | None:
    """Tell why an IP address must not be connected to; None when it is fine."""
    try:
        literal = ip_address(address.partition("%")[0])
    except ValueError:
        return "not an IP address"
    if exempt(address, allowed):
        return None
    place = _unwrapped(literal)
    for network, reason in _DENIED:
        if place in network:
            return reason
    if isinstance(place, IPv6Address) and place not in _UNICAST:
        return "reserved"
    return None if place.is_global else "private or reserved"


def exempt(address: str, allowed: Networks) -> bool:
    """Tell whether an IP address lies in the networks that the operator allowed."""
    try:
        literal = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    place = _unwrapped(literal)
    return any(literal in network or place in network for network in allowed)


def check_target(url: str, allowed: Networks) -> str:
    """Return the URL as it will be called; raise ValueError, with a sentence for its owner, for a bad one.

    With `allowed` networks, http, local names and low ports are accepted too: for trying out, and for
    receivers behind the same wall. Where they lead is judged when we connect.
    """
    parts = _split(url)
    _check_scheme(parts, allowed)
    host = _host(parts, allowed)
    port = _port(parts, allowed)
    written = f"{parts.scheme}://{host}{port}{quote(parts.path or '/', safe=_ASCII)}"
    if parts.query:
        written += "?" + quote(parts.query, safe=_ASCII)
    if len(written) > MAX_URL_CHARACTERS:
        raise ValueError(f"the URL is longer than {MAX_URL_CHARACTERS} characters; give a shorter one")
    return written


def host_of(url: str) -> str:
    """Name what shares its fate: `host`, or `host:port` when not the default; raise ValueError if none."""
    parts = urlsplit(url)
    host = (parts.hostname or "").removesuffix(".")
    if not host:
        raise ValueError("the URL has no host")
    host = f"[{host}]" if ":" in host else host
    port = parts.port
    return host if port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{port}"


def _unwrapped(address: Address) -> Address:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _COMPATIBLE:
            return IPv4Address(int(address))
    return address


def _split(url: str) -> SplitResult:
    if not url.isprintable() or any(c.isspace() or c == "\\" for c in url):
        raise ValueError("the URL may have no blanks, backslashes or control characters; write them as %20")
    if "#" in url:
        raise ValueError("the URL may have no fragment; leave out the # and what follows it")
    if len(url) > MAX_URL_CHARACTERS:
        raise ValueError(f"the URL is longer than {MAX_URL_CHARACTERS} characters; give a shorter one")
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError("this is not a URL; write one such as https://example.org/hook") from None


def _check_scheme(parts: SplitResult, allowed: Networks) -> None:
    if parts.scheme not in (("https", "http") if allowed else ("https",)):
        raise ValueError("the URL must begin with https://")
    if "@" in parts.netloc:
        raise ValueError("the URL may have no user name or password; signatures tell you that it is us")


def _port(parts: SplitResult, allowed: Networks) -> str:
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the port must be a number from 1 to 65535") from None
    if port in (None, _DEFAULT_PORTS[parts.scheme]):
        return ""
    if port == 0 or not (allowed or port == 443 or port >= 1024):
        raise ValueError("the port must be 443, or 1024 and above")
    return f":{port}"


def _host(parts: SplitResult, allowed: Networks) -> str:
    """Return the host in its one ASCII form, unless it leads where it must not."""
    name = parts.hostname or ""
    literal = _bracketed(name) if ":" in name else _dotted(name := _ascii(name))
    if literal is None:
        _check_name(name, allowed)
        return name
    if reason := refusal(str(literal), allowed):
        raise ValueError(f"the address {literal} is not public ({reason}); give one that all can reach")
    return f"[{literal}]" if isinstance(literal, IPv6Address) else str(literal)


def _bracketed(text: str) -> Address:
    try:
        address = IPv6Address(text)
        return address.ipv4_mapped or address
    except ValueError:
        raise ValueError("what stands between the brackets is not an IPv6 address") from None


def _ascii(name: str) -> str:
    """Write a host name in lower-case ASCII (punycode), without a dot behind it."""
    # the old and the new IDNA read these two differently, and so name two different hosts
    if any(c in "ßς" for c in name):
        raise ValueError("the host name can be read in two ways; write it in its xn-- form")
    try:
        ascii_name = name.encode("idna").decode().lower().removesuffix(".")
    except UnicodeError:
        ascii_name = ""
    if not ascii_name or len(ascii_name) > 253:
        raise ValueError("the URL has no host name that can be looked up")
    return ascii_name


def _dotted(name: str) -> IPv4Address | None:
    """Read an IPv4 address in any of the forms that a C library takes: 127.1, 0x7f.1, 017700000001.

    None for a name; ValueError for what looks like an address and is not one.
    Source: WHATWG URL, section 3.5, "ends in a number".
    """
    words = name.split(".")
    if not _NUMBER.fullmatch(words[-1]):
        return None
    try:
        *high, low = (_number(word) for word in words)
        if len(high) > 3 or any(byte > 255 for byte in high) or low >= 256 ** (4 - len(high)):
            raise ValueError
    except ValueError:
        raise ValueError("the host looks like an IP address, but is not one") from None
    return IPv4Address(sum(byte << (24 - 8 * place) for place, byte in enumerate(high)) + low)


def _number(word: str) -> int:
    if not _NUMBER.fullmatch(word):
        raise ValueError
    if word.startswith("0x"):
        return int(word[2:] or "0", 16)
    return int(word, 8 if word.startswith("0") else 10)


def _check_name(name: str, allowed: Networks) -> None:
    if not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError("the host name may have letters, digits, hyphens and dots only")
    if allowed:
        return
    if "." not in name or name.endswith(_LOCAL_NAMES):
        raise ValueError(f"{name} is a name of a local network; give one that all can look up")
