"""What a notice announces: published, updated or awarded, under an identity of its own."""

from pathlib import Path
from typing import Any

import pytest

from services.domain.event import EventType, bare_event, parse_cloudevent
from services.publisher.eforms import read_notice
from services.publisher.notices import notice_event
from tests.rig.samples import SOURCE, opportunity

NOTICES = sorted((Path(__file__).parents[2] / "examples/opportunities").glob("*.xml"))


def event_of(**fields: Any) -> dict[str, Any]:
    return notice_event(opportunity(**{"id": "procedure-1", "notice_type": "cn-standard", **fields}), SOURCE)


@pytest.mark.parametrize("path", NOTICES, ids=lambda path: path.stem)
def test_a_notice_of_ours_is_published_as_its_bare_opportunity_would_be(path: Path) -> None:
    notice = read_notice(path.read_bytes())
    event, bare = parse_cloudevent(notice_event(notice, SOURCE)), bare_event(notice, source=SOURCE)
    assert event.type is EventType.PUBLISHED
    assert (event.source, event.id, event.content_hash) == (bare.source, bare.id, bare.content_hash)
    assert event.time == bare.time


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, EventType.PUBLISHED),
        ({"notice_type": None}, EventType.PUBLISHED),
        ({"notice_type": "pin-only"}, EventType.PUBLISHED),
        ({"changed_notice_id": "notice-1", "notice_id": "notice-2"}, EventType.UPDATED),
        ({"notice_type": "can-standard", "notice_id": "notice-3"}, EventType.AWARDED),
        ({"notice_type": "can-social", "notice_id": "notice-3"}, EventType.AWARDED),
        ({"notice_type": "contractawardnotice", "notice_id": "notice-3"}, EventType.AWARDED),
        ({"notice_type": "can-standard", "changed_notice_id": "a", "notice_id": "b"}, EventType.AWARDED),
    ],
)
def test_the_kind_of_notice_decides_the_type(fields: dict[str, Any], kind: EventType) -> None:
    event = parse_cloudevent(event_of(**fields))
    assert (event.type, event.subject) == (kind, "procedure-1")


def test_each_notice_of_a_procedure_is_an_event_of_its_own() -> None:
    notices: list[dict[str, Any]] = [
        {"notice_id": "notice-1", "version": 1},
        {"notice_id": "notice-1", "version": 2},
        {"notice_id": "notice-2", "changed_notice_id": "notice-1", "version": 1},
        {"notice_id": "notice-3", "changed_notice_id": "notice-2", "version": 1},
        {"notice_id": "notice-4", "notice_type": "can-standard", "version": 1},
    ]
    events = [event_of(**fields) for fields in notices]
    assert len({event["id"] for event in events}) == len(notices)
    assert {event["subject"] for event in events} == {"procedure-1"}


def test_notices_without_a_number_are_told_apart_by_type_and_version() -> None:
    notices: list[dict[str, Any]] = [
        {"version": 1},
        {"version": 1, "changed_notice_id": "notice-1"},
        {"version": 2, "changed_notice_id": "notice-1"},
        {"version": 1, "notice_type": "can-standard"},
    ]
    identities = [event_of(**fields)["id"] for fields in notices]
    assert len(set(identities)) == len(notices)
    assert not any("None" in identity for identity in identities)


def test_a_version_that_is_left_out_is_the_first() -> None:
    assert event_of(version=None)["id"] == "procedure-1:1"


def test_the_time_is_that_of_publication_or_left_out() -> None:
    assert event_of()["time"] == opportunity()["published_at"]
    assert "time" not in event_of(published_at=None)


def test_the_data_is_the_opportunity_and_a_copy_of_it() -> None:
    notice = opportunity()
    event = notice_event(notice, SOURCE)
    assert event["data"] == notice
    assert event["data"] is not notice
