"""Atom, RSS, JSON Feed and the calendar: what they say of each opportunity, and their pages."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import feedparser
import pytest

from services.runtime.database import Pool
from tests.integration.feeding import FORMATS, PUBLIC, Stage, calendar, staged

HOSTILE = '</title><script>alert("1")</script>]]> & \ufffe;,\\ "\U0001f3f4" \u202ekade'


@pytest.fixture
async def stage(pool: Pool) -> AsyncIterator[Stage]:
    async with staged(pool) as opened:
        yield opened


async def statuses(stage: Stage) -> dict[str, str]:
    return {item["_omroeper"]["reference"]: item["_omroeper"]["status"] for item in await stage.items()}


@pytest.mark.parametrize("suffix", FORMATS)
async def test_a_feed_without_opportunities_is_well_formed(stage: Stage, suffix: str) -> None:
    answer = await stage.get(f"{PUBLIC}.{suffix}")
    assert answer.status == 200
    assert "Last-Modified" not in answer.headers
    if suffix in ("atom", "rss"):
        parsed = feedparser.parse(answer.body)
        assert not parsed.bozo
        assert parsed.entries == []
        assert parsed.feed.title == "Opdrachten"
    elif suffix == "ics":
        assert list(calendar(answer.body).walk("VEVENT")) == []


async def test_every_format_tells_of_the_same_opportunity(stage: Stage) -> None:
    await stage.announce({"id": "een", "deadline": "2099-06-30T12:00:00+02:00"})
    item = (await stage.items())[0]
    atom = feedparser.parse((await stage.get(f"{PUBLIC}.atom")).body).entries[0]
    rss = feedparser.parse((await stage.get(f"{PUBLIC}.rss")).body).entries[0]
    event = calendar((await stage.get(f"{PUBLIC}.ics")).body).walk("VEVENT")[0]
    assert item["id"] == atom.id == rss.id == f"urn:uuid:{event['UID']}"
    assert item["title"] == atom.title == rss.title == "Slimme sensoren voor de kade"
    assert item["url"] == atom.link == rss.link == str(event["URL"])
    assert item["date_published"] == atom.published
    assert item["date_modified"] == atom.updated == rss.updated
    assert event["DTSTART"].dt == datetime(2099, 6, 30, 10, tzinfo=UTC)
    assert "Uiterste indieningsdatum: 30 juni 2099 om 12.00 uur" in item["content_text"]
    assert item["content_text"] in str(event["DESCRIPTION"])
    assert [tag.term for tag in atom.tags] == ["published", "mobiliteit", "72000000"]


@pytest.mark.parametrize("suffix", ["atom", "rss"])
async def test_the_feeds_say_their_language_their_type_and_their_own_address(
    stage: Stage, suffix: str
) -> None:
    await stage.announce({}, {"title": {"en": "Smart sensors"}})
    answer = await stage.get(f"{PUBLIC}.{suffix}")
    parsed = feedparser.parse(answer.body)
    assert answer.headers["Content-Type"] == f"application/{suffix}+xml; charset=utf-8"
    assert answer.headers["Content-Language"] == "nl-BE"
    assert 'xml:lang="nl-BE"' in answer.body[:300]
    own = [link.href for link in parsed.feed.links if link.rel == "self"]
    assert own == [f"{stage.api.url}{PUBLIC}.{suffix}"]
    if suffix == "atom":
        assert {entry.title_detail.language for entry in parsed.entries} == {"nl-BE", "en"}


@pytest.mark.parametrize("suffix", FORMATS)
async def test_a_hostile_title_stays_a_text(stage: Stage, suffix: str) -> None:
    await stage.announce({"id": "kwaad", "title": {"nl": HOSTILE}, "summary": {"nl": HOSTILE}})
    answer = await stage.get(f"{PUBLIC}.{suffix}")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if suffix == "json":
        assert "<script>" in answer.body["items"][0]["title"]
    elif suffix == "ics":
        events = calendar(answer.body).walk("VEVENT")
        assert [str(event["SUMMARY"]).split(": ")[1] for event in events] == [one_line(HOSTILE)]
    else:
        parsed = feedparser.parse(answer.body, sanitize_html=False)
        assert not parsed.bozo
        assert len(parsed.entries) == 1
        shown = one_line(HOSTILE).replace("\ufffe", "\ufffd")
        marked = shown.translate(str.maketrans("<>", "‹›"))
        assert parsed.entries[0].title == (shown if suffix == "atom" else marked)
        assert "<script" not in answer.body


def one_line(text: str) -> str:
    return text.replace("\u202e", " ").replace("  ", " ")


async def test_the_status_follows_the_events(stage: Stage) -> None:
    for name in ("nieuw", "gewijzigd", "weg", "dicht", "gegund"):
        await stage.announce({"id": name})
    await stage.announce({"id": "gewijzigd", "version": 2}, kind="updated")
    await stage.notice("withdrawn", "weg")
    await stage.notice("closed", "dicht")
    await stage.notice("closed", "gegund")
    await stage.notice("awarded", "gegund")
    await stage.notice("withdrawn", "nooit-gezien")
    assert await statuses(stage) == {
        "nieuw": "published",
        "gewijzigd": "updated",
        "weg": "withdrawn",
        "dicht": "closed",
        "gegund": "awarded",
    }
    assert (await stage.references())[:3] == ["gegund", "dicht", "weg"]


async def test_a_withdrawal_is_shown_by_every_format(stage: Stage) -> None:
    await stage.announce({"id": "weg", "version": 3})
    before = (await stage.items())[0]
    await stage.notice("withdrawn", "weg", version=3)
    item = (await stage.items())[0]
    assert item["id"] == before["id"]
    assert item["date_published"] == before["date_published"]
    assert item["date_modified"] > before["date_modified"]
    title = "Ingetrokken: Slimme sensoren voor de kade"
    assert item["title"] == title
    for suffix in ("atom", "rss"):
        entry = feedparser.parse((await stage.get(f"{PUBLIC}.{suffix}")).body).entries[0]
        assert entry.title == title
        assert "withdrawn" in [tag.term for tag in entry.tags]
        assert "Deze opdracht is ingetrokken." in str(entry)
    event = calendar((await stage.get(f"{PUBLIC}.ics")).body).walk("VEVENT")[0]
    assert (str(event["STATUS"]), int(event["SEQUENCE"])) == ("CANCELLED", 3)


@pytest.mark.parametrize(
    ("order", "status"),
    [
        (["v1", "withdrawn 1", "v2"], "updated"),
        (["v1", "v2", "withdrawn 1"], "withdrawn"),
        (["withdrawn 2", "v1", "v2"], "withdrawn"),
        (["v2", "v1"], "updated"),
        (["v1", "withdrawn 1", "awarded 1", "closed 1"], "withdrawn"),
        (["v1", "awarded 1", "closed 1"], "awarded"),
    ],
)
async def test_events_in_any_order_come_to_the_right_status(
    stage: Stage, order: list[str], status: str
) -> None:
    for step in order:
        kind, _, version = step.partition(" ")
        if version:
            await stage.notice(kind, "een", version=int(version))
        else:
            number = int(step[1])
            data: dict[str, Any] = {"id": "een", "version": number, "title": f"Versie {number}"}
            await stage.announce(data, kind="published" if number == 1 else "updated")
        await stage.items()
    item = (await stage.items())[0]
    assert item["_omroeper"]["status"] == status
    assert item["title"].endswith(f"Versie {2 if 'v2' in order else 1}")


async def test_what_changes_nothing_that_is_shown_is_no_update(stage: Stage) -> None:
    await stage.announce({"id": "een", "version": 2}, {"id": "twee"})
    before = await stage.items()
    await stage.announce({"id": "een", "version": 1})
    assert await stage.items() == before


async def test_a_calendar_leaves_out_what_is_long_past_and_what_has_no_deadline(stage: Stage) -> None:
    past = {"id": "voorbij", "deadline": "2020-01-01T12:00:00+01:00"}
    await stage.announce({"id": "later"}, past, {"id": "ooit", "deadline": None})
    read = calendar((await stage.get(f"{PUBLIC}.ics")).body)
    events = read.walk("VEVENT")
    assert len(events) == 1
    assert "later" in str(events[0]["DESCRIPTION"])
    assert read["REFRESH-INTERVAL"].dt.total_seconds() == 3600


async def test_pages_cover_everything_exactly_once_and_lead_back(stage: Stage) -> None:
    await stage.announce(*({"id": f"opdracht-{n:03}"} for n in range(120)))
    await stage.announce({"id": "opdracht-007", "version": 2}, kind="updated")
    for suffix in ("atom", "rss"):
        url, pages, back = f"{PUBLIC}.{suffix}", [], []
        while url:
            feed = feedparser.parse((await stage.get(url)).body)
            pages.append([entry.id for entry in feed.entries])
            links = {link.rel: link.href for link in feed.feed.links}
            back.append(links.get("previous"))
            url = links.get("next", "")
        assert [len(page) for page in pages] == [50, 50, 20]
        assert len({entry for page in pages for entry in page}) == 120
        assert back[0] is None
        assert back[1] == f"{stage.api.url}{PUBLIC}.{suffix}"
        again = feedparser.parse((await stage.get(str(back[2]))).body)
        assert [entry.id for entry in again.entries] == pages[1]
    references, url = [], f"{PUBLIC}.json"
    while url:
        body = (await stage.get(url)).body
        references += [item["_omroeper"]["reference"] for item in body["items"]]
        url = body.get("next_url", "")
    assert references[0] == "opdracht-007"
    assert sorted(references) == [f"opdracht-{n:03}" for n in range(120)]


async def test_a_page_that_cannot_be_is_refused(stage: Stage) -> None:
    for query in ("before=1&after=1", "after=-1", "after=x", f"before={2**63}"):
        assert (await stage.get(f"{PUBLIC}.atom?{query}")).status == 422
    assert (await stage.get("/feeds/opportunities.xml")).status == 404
    assert (await stage.items(f"{PUBLIC}.json?before=0")) == []


async def test_a_calendar_holds_the_500_soonest_deadlines_each_once(stage: Stage) -> None:
    first = datetime(2098, 1, 1, 10, tzinfo=UTC)
    days = [first + timedelta(days=n) for n in range(510)]
    await stage.announce(*({"id": f"dag-{n:03}", "deadline": day.isoformat()} for n, day in enumerate(days)))
    await stage.notice("withdrawn", "dag-007")
    answer = await stage.get(f"{PUBLIC}.ics")
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    events = calendar(answer.body).walk("VEVENT")
    assert [event["DTSTART"].dt for event in events] == days[:500]
    assert len({str(event["UID"]) for event in events}) == 500
    assert [n for n, event in enumerate(events) if str(event["STATUS"]) == "CANCELLED"] == [7]
    assert max(len(line.encode()) for line in answer.body.split("\n")) <= 76  # with its CR
