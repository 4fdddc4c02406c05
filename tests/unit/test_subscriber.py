"""Subscribers and subscriptions as they are given to us, one by one or as CSV."""

from datetime import time
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.problems import Invalid
from services.domain.signing import asymmetric_secret, symmetric_secret
from services.domain.subscriber import (
    destination_of,
    is_slug,
    parse_person,
    parse_rotation,
    parse_subscriber,
    parse_subscriber_patch,
    parse_subscription,
    parse_subscription_patch,
)
from services.subscribers.csv_rows import COLUMNS, MOST_ROWS, RowProblem, read_rows

SUBSCRIBER = {"slug": "start-it", "name": "Start it", "kind": "accelerator"}
MAIL = {"channel": "email", "target": "info@start-it.example"}
HOOK = {"channel": "webhook", "target": "https://hooks.start-it.example/omroeper"}
SECRET = symmetric_secret(bytes(range(32)))
LOOPBACK = (ip_network("127.0.0.0/8"),)


def pointers(parse: Any, *arguments: Any) -> list[str]:
    with pytest.raises(Invalid) as refused:
        parse(*arguments)
    return [problem.pointer for problem in refused.value.problems]


def test_a_subscriber_needs_a_slug_a_name_and_a_kind_only() -> None:
    subscriber = parse_subscriber(SUBSCRIBER)
    assert (subscriber.region, subscriber.language, subscriber.contact) == (None, "nl", None)
    assert pointers(parse_subscriber, {}) == ["/slug", "/name", "/kind"]


def test_a_subscriber_is_kept_as_it_will_be_used() -> None:
    given_ = {
        **SUBSCRIBER,
        "name": " Start it ",
        "region": "be2",
        "language": "EN",
        "contact": "Info@X.Example",
    }
    assert parse_subscriber(given_).given() == {
        **SUBSCRIBER,
        "region": "BE2",
        "language": "en",
        "contact": "Info@x.example",
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slug", "Start-it"),
        ("slug", "start--it"),
        ("slug", "start-it\n"),
        ("slug", "a" * 64),
        ("name", "  "),
        ("name", "a\nb"),
        ("name", "a" * 201),
        ("kind", "university"),
        ("region", "Vlaanderen"),
        ("language", "dutch"),
        ("contact", "info"),
        ("contact", "a@b.example\r\nBcc: c@d.example"),
        ("contact", "één@b.example"),
        ("regio", "BE2"),
    ],
)
def test_a_bad_field_of_a_subscriber_is_pointed_at(field: str, value: str) -> None:
    assert pointers(parse_subscriber, {**SUBSCRIBER, field: value}) == [f"/{field}"]


@pytest.mark.parametrize("value", [None, [], "start-it", 3])
def test_what_is_not_an_object_is_refused(value: object) -> None:
    assert pointers(parse_subscriber, value) == [""]


@given(st.from_regex(r"[a-z0-9](-?[a-z0-9]){0,62}", fullmatch=True), st.sampled_from("-_ A.é/\n\x00"))
def test_a_slug_has_no_other_characters_and_no_hyphen_at_its_ends(slug: str, other: str) -> None:
    assert is_slug(slug)
    assert not is_slug(other + slug)
    assert not is_slug(slug + other)


def test_a_patch_tells_null_from_left_out() -> None:
    assert parse_subscriber_patch({}).given() == {}
    assert parse_subscriber_patch({"region": None}).given() == {"region": None}
    assert pointers(parse_subscriber_patch, {"name": None, "slug": "other"}) == ["/name", "/slug"]


def test_a_subscription_is_immediate_about_everything_and_in_its_subscribers_language() -> None:
    subscription = parse_subscription({**MAIL, "filter": None, "verify": False}, ())
    assert subscription.filter.as_json() == {}
    assert (subscription.cadence, subscription.language) == ("immediate", None)


@pytest.mark.parametrize("cadence", ["daily", "weekly"])
def test_only_mails_are_gathered(cadence: str) -> None:
    assert parse_subscription({**MAIL, "cadence": cadence}, ()).cadence == cadence
    assert parse_subscription_patch({"cadence": cadence}, "email", ()).cadence == cadence
    assert pointers(parse_subscription, {**HOOK, "cadence": cadence}, ()) == ["/cadence"]
    assert pointers(parse_subscription_patch, {"cadence": cadence}, "webhook", ()) == ["/cadence"]


def test_quiet_hours_are_two_times_of_the_day_and_may_go_over_midnight() -> None:
    night = {"from": "20:00", "until": "07:00"}
    wanted = parse_subscription({**HOOK, "quiet_hours": night}, ())
    assert wanted.quiet_hours is not None
    assert wanted.quiet_hours.times == (time(20), time(7))
    assert wanted.given()["quiet_hours"] == night
    assert parse_subscription_patch({"quiet_hours": None}, "email", ()).given() == {"quiet_hours": None}


@pytest.mark.parametrize(
    ("quiet", "where"),
    [
        ({"from": "24:00", "until": "07:00"}, "/quiet_hours/from"),
        ({"from": "20:00", "until": "7:00"}, "/quiet_hours/until"),
        ({"from": "20:00", "until": "07:00\n"}, "/quiet_hours/until"),
        ({"from": "20:00"}, "/quiet_hours/until"),
        ({"from": "20:00", "until": "20:00"}, "/quiet_hours"),
        ({"from": "20:00", "until": "07:00", "zone": "CET"}, "/quiet_hours/zone"),
        ("20:00-07:00", "/quiet_hours"),
    ],
)
def test_bad_quiet_hours_are_pointed_at(quiet: object, where: str) -> None:
    assert pointers(parse_subscription, {**MAIL, "quiet_hours": quiet}, ()) == [where]


def test_a_person_has_a_name_and_an_address_that_stay_out_of_repr() -> None:
    person = parse_person({"name": " An ", "email": "An@X.Example"})
    assert (person.name, person.email) == ("An", "An@x.example")
    assert "An" not in repr(person)
    for bad in ({"name": "a\r\nBcc: x@y.example"}, {"name": "a" * 201}, {"name": " "}, {"name": 3}):
        assert pointers(parse_person, {**bad, "email": "an@x.example"}) == ["/name"]
    assert pointers(parse_person, {"name": "An", "email": "an@x.example\r\nBcc: y@z.example"}) == ["/email"]


def test_a_mail_domain_is_kept_in_lower_case_and_the_mailbox_as_it_is() -> None:
    assert (
        parse_subscription({**MAIL, "target": " Info@Start-IT.Example "}, ()).target
        == "Info@start-it.example"
    )


@pytest.mark.parametrize(
    "target",
    ["info", "a@b@c.example", "a\n@b.example", "a\x01@b.example", "<a@b.example>", "a@b..example", ""],
)
def test_a_bad_address_is_pointed_at(target: str) -> None:
    assert pointers(parse_subscription, {**MAIL, "target": target}, ()) == ["/target"]


@pytest.mark.parametrize(
    "target", ["http://hooks.example/x", "https://127.0.0.1/x", "https://169.254.169.254/", "ftp://a.example"]
)
def test_a_webhook_goes_to_public_addresses_by_https_only(target: str) -> None:
    assert pointers(parse_subscription, {**HOOK, "target": target}, ()) == ["/target"]


def test_a_webhook_may_go_to_an_allowed_network() -> None:
    target = "http://127.0.0.1:9000/hook"
    assert parse_subscription({**HOOK, "target": target}, LOOPBACK).target == target


def test_all_that_is_wrong_is_said_at_once() -> None:
    bad = {"channel": "fax", "target": "x", "filter": {"regio": "BE2"}, "language": "dutch"}
    assert pointers(parse_subscription, bad, ()) == ["/channel", "/filter/regio", "/language"]


def test_a_caller_may_supply_a_secret_for_v1_only() -> None:
    assert parse_subscription({**HOOK, "secret": SECRET}, ()).secret == SECRET
    pair = asymmetric_secret(bytes(32))
    assert pointers(parse_subscription, {**HOOK, "secret": pair, "algorithm": "v1a"}, ()) == ["/secret"]
    assert pointers(parse_subscription, {**HOOK, "secret": SECRET, "algorithm": "v1a"}, ()) == [""]
    assert pointers(parse_subscription, {**MAIL, "secret": SECRET}, ()) == [""]
    assert pointers(parse_subscription, {**HOOK, "secret": "whsec_c2hvcnQ="}, ()) == ["/secret"]


def test_a_refusal_never_repeats_a_secret_or_an_address() -> None:
    with pytest.raises(Invalid) as refused:
        parse_subscription({**HOOK, "target": "http://u:geheim@a.example", "secret": "whsec_geheim!"}, ())
    assert "geheim" not in str(refused.value)
    assert "a.example" not in str(refused.value)


def test_addresses_and_secrets_stay_out_of_repr() -> None:
    shown = repr(parse_subscription({**HOOK, "secret": SECRET}, ())) + repr(
        parse_subscriber({**SUBSCRIBER, "contact": "info@start-it.example"})
    )
    assert "start-it.example" not in shown
    assert SECRET not in shown


def test_a_new_target_is_checked_by_the_channel_it_is_for() -> None:
    assert parse_subscription_patch({"target": "a@B.Example"}, "email", ()).target == "a@b.example"
    assert pointers(parse_subscription_patch, {"target": "a@b.example"}, "webhook", ()) == ["/target"]
    assert pointers(parse_subscription_patch, {"channel": "email"}, "email", ()) == ["/channel"]


def test_an_overlap_lasts_from_nothing_to_a_week() -> None:
    assert parse_rotation({}).overlap_hours == 24
    assert parse_rotation({"overlap_hours": 0}).overlap_hours == 0
    assert pointers(parse_rotation, {"overlap_hours": 169}) == ["/overlap_hours"]


def test_a_destination_is_what_shares_a_targets_fate() -> None:
    assert destination_of("email", "info@start-it.example") == "start-it.example"
    assert destination_of("webhook", "https://a.example:8443/x?y") == "a.example:8443"


HEADER = ",".join(COLUMNS)


def problems_of(text: str) -> list[RowProblem]:
    return [problem for row in read_rows(text, LOOPBACK) for problem in row.problems]


def test_a_row_is_a_subscriber_and_at_most_one_subscription() -> None:
    with_mail, alone = read_rows(
        f"{HEADER}\n"
        'start-it,Start it,accelerator,be2,nl,,email,info@Start-it.example,"{""regions"": [""BE2""]}"\n'
        "imec,imec.istart,incubator,,,,,,\n"
    )
    assert with_mail.subscriber is not None
    assert with_mail.subscriber.region == "BE2"
    assert with_mail.subscription is not None
    assert with_mail.subscription.target == "info@start-it.example"
    assert with_mail.subscription.filter.as_json() == {"regions": ["BE2"]}
    assert alone.subscriber is not None
    assert alone.subscription is None


def test_a_semicolon_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    (row,) = read_rows("\ufeffSlug; Name ;kind\r\nstart-it;Start, it;network\r\n\r\n")
    assert row.problems == ()
    assert row.subscriber is not None
    assert row.subscriber.name == "Start, it"


def test_an_empty_cell_says_nothing() -> None:
    (row,) = read_rows(f"{HEADER}\nstart-it,Start it,network,,,,email,a@b.example,\n")
    assert row.subscriber is not None
    assert row.subscriber.model_fields_set == {"slug", "name", "kind"}
    assert row.subscription is not None
    assert "filter" not in row.subscription.model_fields_set


def test_rows_of_one_slug_are_subscriptions_of_one_subscriber() -> None:
    rows = read_rows(
        f"{HEADER}\n"
        "start-it,Start it,network,,,,email,a@b.example,\n"
        "start-it,,,,,,webhook,https://a.example/x,\n"
    )
    assert [row.subscription and row.subscription.channel for row in rows] == ["email", "webhook"]
    assert rows[0].subscriber is rows[1].subscriber


def test_a_row_that_contradicts_an_earlier_one_is_pointed_at() -> None:
    text = f"{HEADER}\nstart-it,Start it,network,,,,,,\nstart-it,Start-it!,,,,,,,\n"
    assert problems_of(text) == [RowProblem(3, "name", "is not what line 2 says of this subscriber")]


def test_the_same_subscription_twice_is_pointed_at() -> None:
    text = f"{HEADER}\na,A,other,,,,email,a@B.example,\na,A,other,,,,email,a@b.example,\n"
    assert problems_of(text) == [RowProblem(3, "target", "is the same subscription as on line 2")]


def test_a_problem_is_told_by_the_line_and_column_where_it_is() -> None:
    text = (
        f"{HEADER}\n"
        '"a","A\nB",other,,,,,,\n'
        "Niet goed,B,other,,,,,,\n"
        "c,C,other,,,,email,,\n"
        "d,D,other,,,,email,d@d.example,{regions\n"
        'e,E,other,,,,email,e@e.example,"{""regio"": 1}"\n'
        "f,F,other,,,,,,{}\n"
    )
    assert [(p.line, p.column) for p in problems_of(text)] == [
        (2, "name"),
        (4, "slug"),
        (5, "target"),
        (6, "filter"),
        (7, "filter"),
        (8, "channel"),
        (8, "target"),
    ]


def test_a_cell_too_many_is_pointed_at() -> None:
    assert [p.line for p in problems_of("slug,name,kind\na,A, Antwerpen,other\n")] == [2, 2]


def test_a_header_says_what_is_missing_and_what_is_not_known() -> None:
    found = problems_of("slug,naam,kind,kind\na,A,other,other\n")
    assert [(p.line, p.column) for p in found] == [(1, "name"), (1, "kind"), (1, "naam")]
    assert [p.column for p in problems_of("")] == ["slug", "name", "kind"]


@pytest.mark.parametrize("text", ["slug,name,kind\na,\x00,other\n", "slug,name,kind\na,\udc80,other\n"])
def test_what_the_database_could_not_hold_is_refused(text: str) -> None:
    assert [p.detail for p in problems_of(text)] == ["the file is not plain UTF-8 text"]


def test_a_quote_that_never_closes_is_refused_where_it_begins() -> None:
    assert [p.line for p in problems_of('slug,name,kind\na,A,other\nb,"B,other\n')] == [3]


def test_a_file_has_a_limit() -> None:
    rows = "".join(f"a{n},A,other\n" for n in range(MOST_ROWS + 1))
    assert [p.detail for p in problems_of("slug,name,kind\n" + rows)] == [
        f"the file has more than {MOST_ROWS} rows; import it in parts"
    ]


@given(st.text(max_size=200))
def test_no_text_makes_reading_fail(text: str) -> None:
    for row in read_rows(text) + read_rows(f"{HEADER}\n{text}"):
        assert row.problems or row.subscriber
