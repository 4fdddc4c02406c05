"""Limits and proofs: how often, and what counts as yes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.limits import Limit, TooOften, check
from services.domain.proof import answers, consents, origin_of
from services.domain.subscriber import mailbox_of

NOON = datetime(2027, 1, 12, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ago = st.timedeltas(timedelta(0), timedelta(hours=3))


@given(st.lists(ago, max_size=30), st.integers(1, 5))
def test_after_the_wait_there_is_room_and_not_before(agos: list[timedelta], most: int) -> None:
    limit, before = Limit(most, HOUR), [NOON - item for item in agos]
    wait = limit.wait(before, NOON)
    assert timedelta() <= wait <= HOUR
    assert limit.wait(before, NOON + wait) == timedelta()
    if wait:
        assert limit.wait(before, NOON + wait - timedelta(microseconds=1))


@given(st.lists(st.timedeltas(timedelta(0), timedelta(minutes=20)), max_size=60), st.integers(1, 5))
def test_no_hour_has_more_than_the_limit(gaps: list[timedelta], most: int) -> None:
    limit, now = Limit(most, HOUR), NOON
    allowed: list[datetime] = []
    for gap in gaps:
        now += gap
        if not limit.wait(allowed, now):
            allowed.append(now)
    for at in allowed:
        assert sum(at - HOUR < other <= at for other in allowed) <= most


def test_whoever_asks_too_often_hears_when_to_come_back() -> None:
    with pytest.raises(TooOften, match=r"^wait$") as refused:
        check(Limit(1, HOUR), [NOON - timedelta(minutes=59, seconds=59.5)], NOON, "wait")
    assert refused.value.retry_after == 1


@pytest.mark.parametrize(
    ("headers", "yes"),
    [
        ({"WebHook-Allowed-Origin": "opdrachten.example"}, True),
        ({"webhook-allowed-origin": " Opdrachten.Example "}, True),
        ({"WebHook-Allowed-Origin": "*"}, True),
        ({"WebHook-Allowed-Origin": "other.example"}, False),
        ({"WebHook-Allowed-Origin": "opdrachten.example.evil.example"}, False),
        ({"WebHook-Allowed-Origin": ""}, False),
        ({"WebHook-Allowed-Rate": "100"}, False),
        ({"Access-Control-Allow-Origin": "*"}, False),
        ({}, False),
    ],
)
def test_an_endpoint_consents_by_naming_us_or_everybody(headers: dict[str, str], yes: bool) -> None:
    assert consents(headers, origin_of("https://opdrachten.example:8443/")) is yes


def test_without_an_origin_only_everybody_is_consent() -> None:
    assert not consents({"WebHook-Allowed-Origin": ""}, "")


@pytest.mark.parametrize(
    ("body", "yes"),
    [
        ("n0nce", True),
        ("n0nce\n", True),
        ('"n0nce"', True),
        ('{"challenge": "n0nce"}', True),
        ('{"challenge": "n0nce", "more": 1}', True),
        ('{"type": "webhook.verification", "data": {"challenge": "n0nce"}}', False),
        ("you said n0nce", False),
        ('{"challenge": ["n0nce"]}', False),
        ("", False),
        ("[" * 100_000, False),
        ("\ud800", False),
    ],
)
def test_only_who_understands_answers_a_challenge(body: str, yes: bool) -> None:
    if body == "\ud800":
        body = body.encode("utf-8", "replace").decode()
    assert answers(body, "n0nce") is yes


@given(st.sampled_from(["", "+x", "+a+b", "+"]))
def test_a_tag_or_capitals_make_no_other_mailbox(tag: str) -> None:
    assert mailbox_of(f"Info{tag}@Start-It.example") == "info@start-it.example"
