"""Where a webhook may go, by address and by URL."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.egress import MAX_URL_CHARACTERS, Networks, check_target, exempt, host_of, refusal

TEN: Networks = (ip_network("10.0.0.0/8"),)
LOOPBACK: Networks = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
PRIVATE_V4 = [
    IPv4Network(n)
    for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "0.0.0.0/8")
]
PRIVATE_V6 = [IPv6Network(n) for n in ("fc00::/7", "fe80::/10", "fec0::/10", "64:ff9b::/96", "2002::/16")]


def inside(network: IPv4Network | IPv6Network) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    return st.ip_addresses(network=network)


@given(st.sampled_from(PRIVATE_V4).flatmap(inside))
def test_no_private_address_passes_however_it_is_wrapped(address: IPv4Address | IPv6Address) -> None:
    number = int(address)
    high, low = number >> 16, number & 0xFFFF
    wrapped = [
        str(address),
        f"::ffff:{address}",
        f"::{address}",
        f"::ffff:0:{address}",
        f"64:ff9b::{address}",
        f"64:ff9b:1::{address}",
        f"2002:{high:x}:{low:x}::1",
        f"2001:0:{high:x}:{low:x}::1",
        f"fe80::{high:x}:{low:x}%eth0",
    ]
    assert [form for form in wrapped if refusal(form, ()) is None] == []


@given(st.sampled_from(PRIVATE_V6).flatmap(inside))
def test_no_private_ipv6_address_passes(address: IPv4Address | IPv6Address) -> None:
    assert refusal(str(address), ())


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "198.18.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:0:127.0.0.1",
        "fe80::1%eth0",
        "ff02::1",
        "ff0e::1",
        "2001:db8::1",
        "2001::1",
        "3fff::1",
        "5f00::1",
        "100::1",
        "4000::1",
        "",
        "example.org",
        "127.1",
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert refusal(address, ())


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "193.191.245.244", "2001:4860:4860::8888", "2a02::1", "::ffff:8.8.8.8"]
)
def test_a_public_address_passes(address: str) -> None:
    assert refusal(address, ()) is None
    assert not exempt(address, TEN)


def test_an_allowed_network_passes_and_no_other() -> None:
    assert refusal("10.1.2.3", TEN) is None
    assert refusal("::ffff:10.1.2.3", TEN) is None
    assert refusal("192.168.0.1", TEN)
    assert refusal("::1", LOOPBACK) is None
    assert refusal("fe80::1%eth0", (ip_network("fe80::/10"),)) is None
    assert not exempt("example.org", TEN)


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("https://hooks.example.org/in?x=1&y=%2F", "https://hooks.example.org/in?x=1&y=%2F"),
        ("HTTPS://Hooks.Example.ORG", "https://hooks.example.org/"),
        ("https://hooks.example.org.:443/a", "https://hooks.example.org/a"),
        ("https://hooks.example.org:8443/a", "https://hooks.example.org:8443/a"),
        ("https://bücher.example/ü?é=1", "https://xn--bcher-kva.example/%C3%BC?%C3%A9=1"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://134744072/", "https://8.8.8.8/"),
        ("https://[2001:4860:4860::8888]/", "https://[2001:4860:4860::8888]/"),
        ("https://in-hook_1.example.org/a@b", "https://in-hook_1.example.org/a@b"),
    ],
)
def test_a_good_url_is_returned_as_it_will_be_called(url: str, called: str) -> None:
    assert check_target(url, ()) == called
    assert check_target(called, ()) == called


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://127.0.0.1./",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0x7f000001/",
        "https://017700000001/",
        "https://0177.0.0.1/",
        "https://0/",
        "https://１２７.0.0.1/",
        "https://127。0。0。1/",
        "https://10.0.0.1:8443/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::ffff:a00:1]/",
        "https://[fe80::1%25eth0]/",
        "https://[64:ff9b::10.0.0.1]/",
    ],
)
def test_a_literal_private_address_is_refused_in_every_notation(url: str) -> None:
    with pytest.raises(ValueError, match="not public"):
        check_target(url, ())


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("http://hooks.example.org/", "https://"),
        ("ftp://hooks.example.org/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("hooks.example.org/in", "https://"),
        ("", "https://"),
        ("https://user:pw@hooks.example.org/", "user name"),
        ("https://hooks.example.org@evil.example/", "user name"),
        ("https:///in", "host name"),
        ("https://.example.org/", "host name"),
        ("https://a..example.org/", "host name"),
        ("https://" + "a" * 64 + ".example/", "host name"),
        ("https://%31%32%37.0.0.1.example/", "host name"),
        ("https://a,b.example/", "host name"),
        ("https://faß.example/", "two ways"),
        ("https://1.2.3.4.5/", "looks like an IP address"),
        ("https://256.1.1.1/", "looks like an IP address"),
        ("https://4294967296/", "looks like an IP address"),
        ("https://08.8.8.8/", "looks like an IP address"),
        ("https://example.123/", "looks like an IP address"),
        ("https://[1:2]/", "IPv6|not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://hooks.example.org:0/", "port"),
        ("https://hooks.example.org:22/", "port"),
        ("https://hooks.example.org:80/", "port"),
        ("https://hooks.example.org:99999/", "port"),
        ("https://hooks.example.org:x/", "port"),
        ("https://hooks.example.org/#part", "fragment"),
        ("https://hooks.example.org/#", "fragment"),
        ("https://hooks.example.org/a b", "blanks"),
        ("https://hooks.example.org/\r\nX: y", "control"),
        ("https://hooks.example.org/\x00", "control"),
        ("https://hooks.example.org/\u200b", "control"),
        (" https://hooks.example.org/", "blanks"),
        ("https://hooks.example.org\\@evil.example/", "backslashes"),
        ("https://hooks.example.org/" + "a" * MAX_URL_CHARACTERS, "longer"),
        ("https://hooks.example.org/" + "é" * 400, "longer"),
        ("https://localhost/", "local network"),
        ("https://LOCALHOST./", "local network"),
        ("https://app.localhost/", "local network"),
        ("https://printer.local/", "local network"),
        ("https://metadata.google.internal/", "local network"),
        ("https://intranet/", "local network"),
    ],
)
def test_a_bad_url_is_refused_with_what_to_do(url: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        check_target(url, ())


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("http://10.0.0.1:80/", "http://10.0.0.1/"),
        ("http://10.1:9/in", "http://10.0.0.1:9/in"),
        ("https://[::ffff:10.0.0.1]/", "https://10.0.0.1/"),
        ("http://localhost:8080/in", "http://localhost:8080/in"),
        ("http://receiver/in", "http://receiver/in"),
        ("http://hooks.example.org/", "http://hooks.example.org/"),
    ],
)
def test_with_allowed_networks_http_and_local_names_are_accepted(url: str, called: str) -> None:
    assert check_target(url, TEN) == called


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "https://192.168.0.1/", "https://[::1]/"])
def test_allowed_networks_open_no_others(url: str) -> None:
    with pytest.raises(ValueError, match="not public"):
        check_target(url, TEN)


@given(st.text() | st.text(alphabet="abX018.:/?%[]@-_é。"))
def test_whatever_is_accepted_is_https_with_a_host_and_stays_as_it_is(text: str) -> None:
    try:
        called = check_target("https://" + text, ())
    except ValueError:
        return
    assert called.startswith("https://")
    assert called.isascii()
    assert host_of(called)
    assert check_target(called, ()) == called


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Hooks.Example.org/a", "hooks.example.org"),
        ("https://hooks.example.org:443/a", "hooks.example.org"),
        ("https://hooks.example.org:8443/a", "hooks.example.org:8443"),
        ("http://hooks.example.org:80/", "hooks.example.org"),
        ("http://hooks.example.org:443/", "hooks.example.org:443"),
        ("https://hooks.example.org./", "hooks.example.org"),
        ("https://[2A02::1]:8443/", "[2a02::1]:8443"),
        ("https://[2a02::1]/", "[2a02::1]"),
    ],
)
def test_what_shares_its_fate_is_the_host_and_a_port_of_its_own(url: str, host: str) -> None:
    assert host_of(url) == host


def test_a_url_without_a_host_shares_nothing() -> None:
    with pytest.raises(ValueError, match="no host"):
        host_of("mailto:someone")
