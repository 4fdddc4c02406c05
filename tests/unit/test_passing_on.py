"""Links to tell that an opportunity was passed on, and what may be told."""

import os
import string
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.passing_on import (
    MOST_STARTUPS,
    PURPOSE,
    Door,
    Link,
    Told,
    Way,
    hops,
    parse_told,
    passing_url,
    read_token,
)
from services.domain.problems import Invalid
from services.runtime.settings import Settings

KEY = os.urandom(32)
ALPHABET = string.ascii_letters + string.digits + "-_"
keys = st.binary(min_size=32, max_size=32)
links = st.builds(Link, st.uuids(), st.uuids(), st.sampled_from(Door))


def token_of(link: Link, key: bytes = KEY) -> str:
    url = passing_url("https://o.example", key, link.subscriber_id, link.event_id, link.door)
    home, _, token = url.rpartition("/")
    assert home == "https://o.example/p"
    return token


@given(links)
def test_a_token_says_what_was_put_in_it_and_needs_no_escaping(link: Link) -> None:
    token = token_of(link)
    assert set(token) <= set(ALPHABET)
    assert len(token) == 60
    assert read_token(token, [KEY]) == link


@given(links, st.lists(keys, max_size=3), st.lists(keys, max_size=3))
def test_every_key_reads_what_it_made_and_no_other_does(
    link: Link, newer: list[bytes], older: list[bytes]
) -> None:
    token = token_of(link)
    assert read_token(token, [*newer, KEY, *older]) == link
    assert read_token(token, [*newer, *older]) is None


@given(links, st.integers(0, 59), st.sampled_from(ALPHABET))
def test_whatever_character_is_changed_it_is_refused(link: Link, place: int, character: str) -> None:
    token = token_of(link)
    changed = token[:place] + character + token[place + 1 :]
    assert read_token(changed, [KEY]) == (link if changed == token else None)


@given(
    st.text(max_size=100)
    | st.text(ALPHABET, min_size=58, max_size=62)
    | st.builds(token_of, links, st.just(os.urandom(32)))
)
def test_whatever_is_given_reading_never_raises_and_finds_nothing(text: str) -> None:
    assert read_token(text, [KEY, b""]) is None


@pytest.mark.parametrize("change", [" {}", "{} ", "{}\n", "{}=", "{}A", "/{}", "{}{}"])
def test_what_is_added_to_a_token_makes_it_another(change: str) -> None:
    token = token_of(Link(UUID(int=1), UUID(int=2), Door.MAIL))
    assert read_token(change.replace("{}", token), [KEY]) is None


def test_two_places_never_swap() -> None:
    one = Link(UUID(int=1), UUID(int=2), Door.FEED)
    other = Link(UUID(int=2), UUID(int=1), Door.FEED)
    assert read_token(token_of(one), [KEY]) == one
    assert token_of(one) != token_of(other)


def test_keys_of_another_purpose_or_secret_do_not_fit_and_an_older_secret_does() -> None:
    old, new = Settings(secret_key="o" * 32), Settings(secret_key="n" * 32 + "," + "o" * 32)
    link = Link(UUID(int=1), UUID(int=2), Door.PORTAL)
    token = token_of(link, old.signing_keys(PURPOSE)[0])
    assert read_token(token, new.signing_keys(PURPOSE)) == link
    assert read_token(token, new.signing_keys("another")) is None
    assert read_token(token, old.encryption_keys) is None
    assert read_token(token, Settings(secret_key="n" * 32).signing_keys(PURPOSE)) is None


@pytest.mark.parametrize("way", Way)
def test_every_way_may_be_told_with_a_number_or_without(way: Way) -> None:
    assert parse_told({"way": str(way), "startups": 40}) == Told(way=way, startups=40)
    assert parse_told({"way": str(way)}) == parse_told({"way": str(way), "startups": None}) == Told(way=way)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ([], [""]),
        ("newsletter", [""]),
        ({}, ["/way"]),
        ({"way": "pigeon"}, ["/way"]),
        ({"way": None, "startups": -1}, ["/way", "/startups"]),
        ({"way": "mail", "startups": MOST_STARTUPS + 1}, ["/startups"]),
        ({"way": "mail", "startups": "40"}, ["/startups"]),
        ({"way": "mail", "startups": True}, ["/startups"]),
        ({"way": "mail", "startups": 4.5}, ["/startups"]),
        ({"way": "mail", "subscriber": "somebody-else"}, ["/subscriber"]),
    ],
)
def test_what_cannot_be_told_is_pointed_at(body: object, pointers: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        parse_told(body)
    assert [problem.pointer for problem in refused.value.problems] == pointers


def event(**changes: Any) -> dict[str, Any]:
    plain = {
        "matched": 36,
        "states": {"sent": 33, "failed": 3},
        "receipts": {},
        "passed_on": {"subscribers": 12, "startups": 340},
        "proposals": {"received": 7, "startup_won": True},
    }
    return {**plain, **changes}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "passed on by 12 (to about 340 start-ups) → 7 proposals, won by a start-up"),
        ({"proposals": None}, "passed on by 12 (to about 340 start-ups)"),
        (
            {"proposals": {"received": 1, "startup_won": False}},
            "passed on by 12 (to about 340 start-ups) → 1 proposal, not won by a start-up",
        ),
        (
            {
                "proposals": {"received": 0, "startup_won": None},
                "passed_on": {"subscribers": 0, "startups": 0},
            },
            "passed on by 0 → 0 proposals",
        ),
        (
            {
                "proposals": {"received": None, "startup_won": True},
                "passed_on": {"subscribers": 1, "startups": 1},
            },
            "passed on by 1 (to about 1 start-up) → won by a start-up",
        ),
    ],
)
def test_the_hops_of_an_opportunity_are_one_line(changes: dict[str, Any], line: str) -> None:
    assert hops(event(**changes)) == f"matched 36 → sent 33 → {line}"
    assert hops(event(states={})).startswith("matched 36 → sent 0 → ")
    back = event(receipts={"hard": 1, "complaint": 1})
    assert hops(back).startswith("matched 36 → sent 33, of which 2 came back → ")
