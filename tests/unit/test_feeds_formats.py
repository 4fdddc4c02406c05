"""The formats of the feeds, whatever the texts hold."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import feedparser
import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.subscribers.feeds import atom, ical, jsonfeed, markup, rss, words
from services.subscribers.feeds.entry import Entry, Page, chosen, opportunity_id, safe_url

AT = datetime(2027, 1, 12, 8, 0, 0, 123456, tzinfo=UTC)
ATOM = "{http://www.w3.org/2005/Atom}"
#: Everything but what the database cannot hold.
texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
    | st.sampled_from("<>&\"'\\;,:\r\n\u2028"),
    max_size=200,
)


def entry(**changes: Any) -> Entry:
    plain: dict[str, Any] = {
        "id": UUID(int=1),
        "subject": "opdracht-1",
        "status": "published",
        "version": 2,
        "position": 7,
        "published_at": AT,
        "changed_at": AT,
        "deadline": AT,
        "data": {},
    }
    return Entry(**{**plain, **changes})


def page(*entries: Entry, **changes: Any) -> Page:
    plain: dict[str, Any] = {
        "feed_id": UUID(int=2),
        "home_url": "https://omroeper.example",
        "feed_url": "https://omroeper.example/feeds/opportunities.atom",
        "url": "https://omroeper.example/feeds/opportunities.atom",
        "entries": entries,
    }
    return Page(**{**plain, **changes})


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    data = {
        "title": draw(st.dictionaries(st.sampled_from(["nl", "en", "fr-BE"]), texts)),
        "summary": {"nl": draw(texts)},
        "buyer": {"name": draw(texts)},
        "themes": draw(st.lists(texts, max_size=2)),
        "url": draw(st.none() | texts.map(lambda text: f"https://stad.example/{text}")),
        "estimated_value": {"amount": draw(st.sampled_from([0, 139000, 0.5])), "currency": "EUR"},
        "regions": ["BE211"],
        "cpv": ["72000000"],
    }
    return entry(data=data, status=draw(st.sampled_from(sorted(words.STATUSES))))


@given(entries())
def test_atom_is_well_formed_and_keeps_the_texts(given_entry: Entry) -> None:
    root = ET.fromstring(atom.render(page(given_entry)))
    found = root.find(f"{ATOM}entry")
    assert found is not None
    assert found.findtext(f"{ATOM}title") == markup.clean(words.headline(given_entry))
    assert found.findtext(f"{ATOM}id") == given_entry.id.urn
    assert len(root.findall(f"{ATOM}entry")) == 1


@given(entries())
def test_rss_is_well_formed_and_no_title_is_markup(given_entry: Entry) -> None:
    channel = ET.fromstring(rss.render(page(given_entry)))[0]
    items = channel.findall("item")
    assert len(items) == 1
    title, description = items[0].findtext("title"), items[0].findtext("description")
    assert title is not None
    assert description is not None
    assert not set("<>") & set(title)
    assert "<" not in description.replace("<br/>", "")


@given(entries())
def test_a_json_feed_keeps_the_texts(given_entry: Entry) -> None:
    item = json.loads(jsonfeed.render(page(given_entry)))["items"][0]
    assert item["title"] == words.headline(given_entry)
    assert item["content_text"] == words.body(given_entry)


@given(entries())
def test_a_calendar_is_one_event_in_lines_of_75_octets(given_entry: Entry) -> None:
    raw = ical.render(page(given_entry))
    lines = raw.split(b"\r\n")
    assert lines[-1] == b""
    assert all(len(line) <= 75 and b"\n" not in line and b"\r" not in line for line in lines)
    unfolded = raw.decode().replace("\r\n ", "").split("\r\n")
    assert unfolded.count("BEGIN:VEVENT") == unfolded.count("END:VEVENT") == 1
    events: list[Any] = icalendar.Calendar.from_ical(raw).walk("VEVENT")
    assert str(events[0]["UID"]) == str(given_entry.id)
    assert events[0]["DTSTART"].dt == AT.replace(microsecond=0)
    assert str(events[0]["STATUS"]) == ("CANCELLED" if given_entry.status == "withdrawn" else "CONFIRMED")


@given(texts)
def test_folding_loses_nothing_and_cuts_no_character(text: str) -> None:
    line = "X:" + text.replace("\r", "").replace("\n", "")
    folded = ical.fold(line)
    assert folded.endswith("\r\n")
    assert folded[:-2].replace("\r\n ", "") == line


def test_a_calendar_unescapes_to_the_text_that_was_given() -> None:
    text = "komma, punt; streep \\ en \\n\nregel twee"
    raw = ical.render(page(entry(data={"summary": {"nl": text}})))
    description = str(icalendar.Calendar.from_ical(raw).walk("VEVENT")[0]["DESCRIPTION"])
    assert text in description


def test_an_opportunity_without_a_deadline_is_in_no_calendar() -> None:
    assert b"VEVENT" not in ical.render(page(entry(deadline=None)))


@pytest.mark.parametrize("status", sorted(words.STATUSES))
def test_every_status_has_a_word_and_what_is_over_says_so_first(status: str) -> None:
    shown = words.headline(entry(status=status, data={"title": {"nl": "Kade"}}))
    over = status in ("withdrawn", "closed", "awarded")
    assert shown == (f"{words.STATUSES[status]}: Kade" if over else "Kade")
    assert f"Status: {words.STATUSES[status]}" in words.body(entry(status=status))


def test_the_pages_around_a_page_are_linked() -> None:
    around = page(
        url="https://a.example/?before=9",
        next_url="https://a.example/?before=5&x=<",
        previous_url="https://a.example/",
    )
    for written in (atom.render(around), rss.render(around)):
        links = {link.rel: link.href for link in feedparser.parse(written).feed.links}
        assert links["next"] == "https://a.example/?before=5&x=<"
        assert links["previous"] == "https://a.example/"
        assert links["self"] == "https://a.example/?before=9"
    feed = json.loads(jsonfeed.render(around))
    assert feed["next_url"] == "https://a.example/?before=5&x=<"
    assert "next_url" not in json.loads(jsonfeed.render(page()))


def test_an_opportunity_keeps_its_name_and_shares_it_with_no_other() -> None:
    name = opportunity_id("https://marketplace.example/opdrachten", "KBS-2027-001")
    assert str(name) == str(opportunity_id("https://marketplace.example/opdrachten", "KBS-2027-001"))
    assert str(name) == "1e19a007-8956-5055-a0d1-10ced2ff7790"
    assert opportunity_id("a", "bc") != opportunity_id("ab", "c")


@pytest.mark.parametrize(
    ("given_texts", "language"),
    [
        ({"en": "a", "nl": "b"}, "nl"),
        ({"nl-BE": "a", "nl": "b"}, "nl-BE"),
        ({"fr": "a", "en": "b"}, "en"),
        ({"fr": "a"}, "fr"),
        ({"nl": "", "fr": "a"}, "fr"),
    ],
)
def test_a_text_says_which_language_it_is_in(given_texts: dict[str, str], language: str) -> None:
    found = chosen(given_texts)
    assert found is not None
    assert (found.language, found.text) == (language, given_texts[language])


@pytest.mark.parametrize(
    "url", [None, 7, "", "http://a.example", "javascript:alert(1)", "https:", "https://[x"]
)
def test_what_is_no_https_link_is_left_out(url: object) -> None:
    assert safe_url(url) == ""


@given(texts)
def test_a_link_holds_only_what_a_uri_may(text: str) -> None:
    url = safe_url(f"https://stad.example/{text}")
    assert url.isascii()
    assert not set(' <>"{}|\\^`\r\n') & set(url)
