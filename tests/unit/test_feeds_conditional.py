"""Validators: when a receiver has an answer already, and when Last-Modified may be told."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from services.subscribers.feeds.conditional import PRIVATE, PUBLIC, Validators, etag, headers
from services.subscribers.feeds.ldes_api import acceptable

AT = datetime(2027, 1, 12, 8, 0, 0, 400_000, tzinfo=UTC)
instants = st.integers(0, 3_000_000).map(lambda us: AT + timedelta(microseconds=us))


def request(**sent: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in sent.items()]
    return Request({"type": "http", "headers": raw})


@given(instants, instants, instants)
def test_nothing_appended_after_the_question_is_ever_taken_for_known(
    appended: datetime, asked: datetime, later: datetime
) -> None:
    told = Validators('"a"', appended).last_modified(asked)
    if told is None or later < asked:
        return
    assert parsedate_to_datetime(told) <= asked
    assert Validators('"a"', appended).unchanged(request(if_modified_since=told))
    if later > asked:
        assert not Validators('"b"', later).unchanged(request(if_modified_since=told))


@pytest.mark.parametrize(
    ("sent", "unchanged"),
    [
        ({}, False),
        ({"if_none_match": '"a"'}, True),
        ({"if_none_match": 'W/"a"'}, True),
        ({"if_none_match": '"b", "a"'}, True),
        ({"if_none_match": "*"}, True),
        ({"if_none_match": '"b"'}, False),
        ({"if_none_match": "a"}, False),
        ({"if_none_match": ""}, False),
        (
            {"if_none_match": '"b"', "if_modified_since": format_datetime(AT + timedelta(1), usegmt=True)},
            False,
        ),
        ({"if_modified_since": format_datetime(AT + timedelta(1), usegmt=True)}, True),
        ({"if_modified_since": "Tue, 12 Jan 2027 08:00:01"}, True),
        ({"if_modified_since": "Tue, 12 Jan 2027 08:00:00 GMT"}, False),
        ({"if_modified_since": "soon"}, False),
        ({"if_modified_since": "Tue, 99 Jan 2027 08:00:00 GMT"}, False),
    ],
)
def test_the_receiver_has_it_when_it_names_the_tag_or_a_later_instant(
    sent: dict[str, str], unchanged: bool
) -> None:
    assert Validators('"a"', AT).unchanged(request(**sent)) is unchanged


def test_without_an_instant_only_the_tag_counts() -> None:
    later = format_datetime(AT + timedelta(1), usegmt=True)
    assert not Validators('"a"').unchanged(request(if_modified_since=later))
    assert "Last-Modified" not in headers(Validators('"a"'), AT, PUBLIC)


def test_an_address_that_is_secret_is_not_told_on() -> None:
    assert headers(Validators('"a"'), AT, PRIVATE)["Referrer-Policy"] == "no-referrer"
    assert "Access-Control-Allow-Origin" not in headers(Validators('"a"'), AT, PRIVATE)


def test_a_tag_is_of_all_that_an_answer_depends_on() -> None:
    assert etag(1, "a") == etag(1, "a")
    assert len({etag(1, "a"), etag(2, "a"), etag(1, "b"), etag("1a"), etag(1, "a", None)}) == 5


@given(st.text(max_size=80))
def test_any_accept_header_gets_something_that_can_be_read(accept: str) -> None:
    assert acceptable(accept) in ("text/turtle", "application/ld+json")
