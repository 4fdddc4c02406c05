"""What comes back is read whatever its maker, never believed too easily, and judged over time."""

import email
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.bounces import Bounce, Kind, Told, Verdict, believable, judge, read_bounce, read_refusal
from services.domain.verp import envelope_sender
from tests.rig import returned
from tests.rig.returned import DOMAIN, TARGET, TOKEN

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DELIVERY = UUID(TOKEN)
VERP = envelope_sender(TOKEN, DOMAIN)


def read(raw: bytes, envelope_to: str = "") -> Bounce:
    """Read a message that is about our delivery."""
    bounce = read_bounce(raw, envelope_to)
    assert bounce is not None
    assert bounce.delivery_id == DELIVERY
    return bounce


def days(count: float) -> datetime:
    """So many days before now."""
    return NOW - timedelta(days=count)


def soft(*ages: float) -> list[Told]:
    """Mails of so many days ago, each of which came back softly an hour later."""
    return [Told(days(age), Kind.SOFT, days(age) + timedelta(hours=1)) for age in ages]


def well(age: float) -> Told:
    """A mail of so many days ago about which nothing came back."""
    return Told(days(age))


@pytest.mark.parametrize(
    ("raw", "kind", "status"),
    [
        (returned.postfix(), Kind.HARD, "5.1.1"),
        (returned.exchange(), Kind.HARD, "5.1.10"),
        (returned.gmail(), Kind.SOFT, "5.2.2"),
        (returned.gmail(action="delayed"), Kind.DELAYED, "5.2.2"),
        (returned.qmail(), Kind.HARD, "5.1.1"),
        (returned.complaint(), Kind.COMPLAINT, None),
        (returned.out_of_office(), Kind.OTHER, None),
        (returned.postfix(action="delayed", status="4.4.1", said="timed out"), Kind.DELAYED, "4.4.1"),
        (returned.postfix(action="delivered", status="2.0.0", said="250 OK"), Kind.OTHER, "2.0.0"),
    ],
    ids=["postfix", "exchange", "gmail", "gmail later", "qmail", "complaint", "away", "later", "arrived"],
)
def test_what_servers_send_back_is_understood(raw: bytes, kind: Kind, status: str | None) -> None:
    bounce = read(raw)
    assert (bounce.kind, bounce.status) == (kind, status)


@pytest.mark.parametrize("status", ["5.0.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.2.0", "5.2.1", "5.4.1"])
def test_what_is_about_the_address_is_hard(status: str) -> None:
    assert read(returned.postfix(status=status, said="")).kind is Kind.HARD


@pytest.mark.parametrize(
    "status",
    ["4.2.2", "4.4.7", "4.7.1", "5.1.8", "5.2.2", "5.2.3", "5.3.4", "5.4.7", "5.6.1", "5.7.1", "5.7.26"],
)
def test_what_may_be_about_the_moment_the_mail_or_us_is_soft(status: str) -> None:
    assert read(returned.postfix(status=status, said="")).kind is Kind.SOFT


@pytest.mark.parametrize(
    ("status", "said", "kind", "found"),
    [
        ("5.0.0", "smtp; 550 5.2.2 mailbox full", Kind.SOFT, "5.2.2"),
        ("5.0.0", "smtp; 450 4.2.0 greylisted", Kind.HARD, "5.0.0"),
        ("", "smtp; 550 5.1.1 unknown", Kind.HARD, "5.1.1"),
        ("", "smtp; 550 unknown", Kind.HARD, None),
        ("", "smtp; 421 busy at 192.0.2.55", Kind.SOFT, None),
        ("", "", Kind.SOFT, None),
        ("9.9.9", "", Kind.SOFT, None),
    ],
)
def test_a_vague_status_is_made_clear_by_what_the_other_side_said(
    status: str, said: str, kind: Kind, found: str | None
) -> None:
    bounce = read(returned.postfix(status=status, said=said))
    assert (bounce.kind, bounce.status) == (kind, found)


@pytest.mark.parametrize("feedback", ["not-spam", "auth-failure", "dmarc", ""])
def test_a_report_in_the_form_of_a_complaint_about_something_else_is_none(feedback: str) -> None:
    assert read(returned.complaint(feedback=feedback)).kind is Kind.OTHER


@pytest.mark.parametrize("name", ["X-Original-To", "Delivered-To", "Envelope-To", "To"])
def test_the_delivery_is_found_where_relays_write_it(name: str) -> None:
    assert read(f'{name}: "Bounces" <{VERP.upper()}>, x@y.example\n\n'.encode()).kind is Kind.OTHER


def test_the_address_that_it_came_to_says_more_than_the_message() -> None:
    other = "f" * 32
    bounce = read_bounce(returned.postfix(), envelope_sender(other, DOMAIN))
    assert bounce is not None
    assert bounce.delivery_id == UUID(other)
    assert read(returned.postfix(), f"postmaster@{DOMAIN}").kind is Kind.HARD


def test_a_complaint_is_traced_by_the_mail_that_it_returns() -> None:
    raw = returned.complaint()
    assert read(raw).kind is Kind.COMPLAINT
    assert read(raw.replace(b"Original-Mail-From", b"X-Mail-From")).kind is Kind.COMPLAINT
    without_sender = raw.replace(b"Original-Mail-From", b"X-Mail-From").replace(b"Return-Path", b"X-Path")
    assert read(without_sender).kind is Kind.COMPLAINT


def test_a_message_about_no_delivery_is_nothing() -> None:
    assert read_bounce(b"") is None
    assert read_bounce(b"To: omroeper@opdrachten.example\r\n\r\nGraag meer opdrachten!\r\n") is None
    assert read_bounce(returned.postfix(), "bounce+xyz@opdrachten.example") is not None
    assert read_bounce(returned.out_of_office().replace(TOKEN.encode(), b"0" * 31)) is None


@pytest.mark.parametrize("raw", [returned.postfix(), returned.exchange(), returned.gmail(), returned.qmail()])
def test_no_address_is_kept_of_what_was_read(raw: bytes) -> None:
    bounce = read(raw)
    assert bounce.detail
    assert "@" not in repr(bounce)


def test_what_the_other_side_said_is_one_short_line() -> None:
    said = f"550 5.1.1 \x00{'no ' * 900}\r\n {TARGET} jan@x.example"
    detail = read(returned.postfix(said=said)).detail
    assert detail is not None
    assert len(detail) == 300
    assert detail.isprintable()


def test_an_address_cut_in_two_is_not_kept_either() -> None:
    said = "a@b.example " * 98 + "jan.peeters@start-it.example"
    detail = read(returned.postfix(said=said)).detail
    assert detail is not None
    assert "jan" not in detail


def _nested(depth: int) -> bytes:
    levels = [
        f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n'.encode() for n in range(depth)
    ]
    return b"".join(levels) + b"\r\n" * 100_000


@pytest.mark.parametrize(
    "raw",
    [
        _nested(2_000),
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\n" * 20_000,
        b"Content-Type: message/rfc822\r\n\r\n" * 5_000,
        b"Content-Type: multipart/digest; boundary=b\r\r" + b"--b\r\r" * 20_000,
    ],
    ids=["deep", "many parts", "mails in mails", "bare returns"],
)
def test_a_message_built_to_be_hard_to_read_is_dropped(raw: bytes) -> None:
    assert read_bounce(raw, VERP) is None


@pytest.mark.parametrize("word", [b"a", b"<", b"5.", b" "])
def test_odd_bounces_with_endless_lines_are_read_all_the_same(word: bytes) -> None:
    intro = b"Subject: failed\r\n\r\nA message that you sent could not be delivered\r\n\r\n"
    assert read(intro + word * 500_000, VERP).kind is Kind.OTHER


def test_only_the_beginning_is_read() -> None:
    raw = returned.postfix()
    assert read(raw + b"x" * 900_000) == read(raw)


@given(st.binary(max_size=2_000), st.sampled_from(["", VERP]))
def test_any_bytes_are_a_bounce_or_nothing(raw: bytes, envelope_to: str) -> None:
    bounce = read_bounce(raw, envelope_to)
    assert bounce is None or isinstance(bounce, Bounce)
    assert envelope_to == "" or bounce is None or bounce.delivery_id == DELIVERY


SAMPLES = [returned.postfix(), returned.exchange(), returned.gmail(), returned.complaint(), returned.qmail()]


@given(st.sampled_from(SAMPLES), st.data())
def test_a_damaged_report_is_a_bounce_or_nothing(raw: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 200)))
    damaged = raw[:start] + data.draw(st.binary(max_size=40)) + raw[end:]
    bounce = read_bounce(damaged, VERP)
    assert bounce is not None
    assert bounce.detail is None or (0 < len(bounce.detail) <= 300 and "\x00" not in bounce.detail)
    assert bounce.status is None or bounce.status[0] in "245"


def test_our_samples_are_reports_in_the_eyes_of_the_standard_library() -> None:
    for raw in SAMPLES[:4]:
        assert email.message_from_bytes(raw).get_content_type() == "multipart/report"
        assert email.message_from_bytes(raw).defects == []


def test_one_hard_bounce_suppresses_until_somebody_releases_it() -> None:
    assert judge([well(30), Told(days(1), Kind.HARD, NOW)], NOW) == Verdict("bounced", None)


def test_a_complaint_weighs_most() -> None:
    history = [Told(days(2), Kind.HARD, NOW), Told(days(1), Kind.COMPLAINT, NOW)]
    assert judge(history, NOW) == Verdict("complained", None)


def test_five_soft_bounces_over_a_week_suppress_for_a_month() -> None:
    assert judge(soft(9, 7, 5, 3, 1), NOW) == Verdict("bounced", NOW + timedelta(days=30))


@pytest.mark.parametrize(
    "history",
    [
        [],
        soft(9, 5, 3, 1),
        soft(6, 5, 4, 3, 2, 1),
        [*soft(30, 28, 26, 24), well(22), *soft(1)],
        [well(1), well(90)],
        [Told(days(9), Kind.DELAYED, days(8))] * 9,
        [Told(days(9), Kind.OTHER, days(1))] * 9,
    ],
    ids=["nothing", "four", "within a week", "one went well", "all well", "late", "away"],
)
def test_less_than_that_does_not(history: list[Told]) -> None:
    assert judge(history, NOW) is None


def test_a_mail_went_well_only_when_a_report_would_have_come_by_now() -> None:
    count = soft(14, 12, 10, 8, 6)
    assert judge([*count, well(5.2)], NOW) is None
    assert judge([*count, well(4.8)], NOW) is not None


@given(st.permutations([*soft(9, 7, 5, 3, 1), well(20), well(2)]))
def test_the_order_of_the_history_does_not_matter(history: list[Told]) -> None:
    assert judge(history, NOW) == Verdict("bounced", NOW + timedelta(days=30))


def test_a_report_is_believed_for_fourteen_days_and_only_about_a_mail_that_was_sent() -> None:
    assert believable(days(13.9), NOW)
    assert not believable(days(14.1), NOW)
    assert not believable(None, NOW)


@pytest.mark.parametrize(
    ("answer", "kind", "status"),
    [
        ("5.1.1 No such user", Kind.HARD, "5.1.1"),
        ("5.7.1 Policy", Kind.SOFT, "5.7.1"),
        ("5.2.2 Full", Kind.SOFT, "5.2.2"),
        ("No such user", Kind.SOFT, None),
        ("", Kind.SOFT, None),
    ],
)
def test_a_refusal_is_hard_only_where_its_status_says_so(answer: str, kind: Kind, status: str | None) -> None:
    refusal = read_refusal(DELIVERY, answer)
    assert (refusal.kind, refusal.status) == (kind, status)


@given(st.text())
def test_reading_a_refusal_never_fails_and_keeps_no_address(answer: str) -> None:
    detail = read_refusal(DELIVERY, f"{answer} somebody@start-it.example").detail
    assert detail is None or "somebody@start-it.example" not in detail
