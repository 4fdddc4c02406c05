"""Why somebody got an event, and which delivery a bounce is about."""

import unicodedata
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.reason import explain, one_line, procedure_name, region_name
from services.domain.verp import envelope_sender, token_of
from services.runtime.language import speech

DUTCH, ENGLISH = speech("nl"), speech("en")

TEXTS = st.lists(st.text(max_size=30), max_size=8)
MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "types": st.lists(
            st.sampled_from(["opportunity.published", "opportunity.updated", "other"]), max_size=3
        ),
        "regions": TEXTS,
        "cpv": TEXTS,
        "themes": TEXTS,
        "audience": TEXTS,
        "procedures": st.lists(st.none() | st.text(max_size=20), max_size=3),
        "value": st.fixed_dictionaries(
            {"currency": st.sampled_from(["EUR", "USD"])},
            optional={"min": st.integers(0, 10**12), "max": st.decimals(0, 10**12, places=2)},
        ),
        "text": st.text(max_size=200),
    },
)


@pytest.mark.parametrize(
    ("match", "dutch", "english"),
    [
        ({}, "je alle opdrachten volgt", "you follow every opportunity"),
        (
            {"types": ["opportunity.updated"]},
            "je gewijzigde opdrachten volgt",
            "you follow changed opportunities",
        ),
        (
            {"regions": ["BE21", "BE234"], "cpv": ["72"], "themes": ["mobiliteit"]},
            "het past bij je filter: regio's BE21 (Antwerpen) en BE234, CPV 72 en thema mobiliteit",
            "it fits your filter: regions BE21 (Antwerp) and BE234, CPV 72 and theme mobiliteit",
        ),
        (
            {"value": {"min": 30000, "max": 139000, "currency": "EUR"}},
            "het past bij je filter: waarde van 30.000 euro tot 139.000 euro",
            "it fits your filter: value from €30,000 to €139,000",
        ),
        (
            {"value": {"max": 139000, "currency": "EUR"}, "text": "haven sensor"},
            "het past bij je filter: waarde tot 139.000 euro en de woorden “haven sensor”",
            "it fits your filter: value up to €139,000 and the words “haven sensor”",
        ),
        (
            {"procedures": ["neg-wo-call"], "audience": ["start-up"]},
            "het past bij je filter: doelgroep start-up en procedure neg-wo-call "
            "(onderhandelingsprocedure zonder voorafgaande bekendmaking (OPZB))",
            "it fits your filter: audience start-up and procedure neg-wo-call "
            "(negotiated procedure without prior publication)",
        ),
    ],
)
def test_every_criterion_is_named_in_the_readers_language(
    match: dict[str, object], dutch: str, english: str
) -> None:
    assert explain(match, DUTCH) == f"Je ontvangt dit omdat {dutch}."
    assert explain(match, ENGLISH) == f"You receive this because {english}."


def test_a_notice_is_explained_by_what_was_told_before() -> None:
    dutch, english = (explain({"cpv": ["72"]}, said, told_before=True) for said in (DUTCH, ENGLISH))
    assert dutch == "Je ontvangt dit omdat we je deze opdracht eerder meldden."
    assert english == "You receive this because we told you of it before."


def test_a_long_list_is_cut_short_and_says_how_much_is_left_out() -> None:
    assert explain({"themes": list("abcdefgh")}, DUTCH).endswith("thema's a, b, c, d, e en 3 andere.")


def test_a_criterion_stored_as_null_is_left_out() -> None:
    assert explain({"procedures": [None]}, DUTCH) == "Je ontvangt dit omdat je alle opdrachten volgt."


@given(MATCHES, st.sampled_from(["nl", "en", "de"]))
def test_any_match_gives_one_visible_line(match: dict[str, object], language: str) -> None:
    sentence = explain(match, speech(language))
    assert sentence == one_line(sentence)
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in sentence)
    assert sentence.endswith(".")


def test_direction_marks_cannot_turn_the_sentence_around() -> None:
    assert "\u202e" not in explain({"text": "abc\u202edef"}, DUTCH)


@pytest.mark.parametrize(
    ("code", "name"),
    [("BE2", "Vlaanderen"), ("BE25", "West-Vlaanderen"), ("BE213", "Antwerpen (BE213)"), ("NL41", "NL41")],
)
def test_regions_are_named_by_province(code: str, name: str) -> None:
    assert region_name(code, DUTCH) == name


def test_an_unknown_procedure_keeps_its_code() -> None:
    assert procedure_name("prijsvraag", DUTCH) == "prijsvraag"
    assert procedure_name("open", DUTCH) == "openbare procedure"


def test_a_percent_sign_in_a_filter_is_just_that() -> None:
    assert explain({"text": "100% %(names)s %s"}, DUTCH).endswith("de woorden “100% %(names)s %s”.")


@given(st.uuids())
def test_a_bounce_comes_back_to_its_delivery(delivery: UUID) -> None:
    token = delivery.hex
    address = envelope_sender(token, "opdrachten.example")
    assert token_of(address) == token
    assert token_of(f" <{address.upper()}> ") == token
    assert len(address.partition("@")[0]) <= 64


@pytest.mark.parametrize(
    "token", ["", "x" * 32, "A" * 32, "a" * 31, "a" * 33, "a" * 31 + "\n", "a" * 30 + "@b"]
)
def test_only_a_token_makes_an_envelope_sender(token: str) -> None:
    with pytest.raises(ValueError, match="32 lower-case"):
        envelope_sender(token, "opdrachten.example")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "info@opdrachten.example",
        "bounce+@opdrachten.example",
        f"bounce+{'a' * 33}@x",
        f"bounce+{'a' * 32}",
    ],
)
def test_other_addresses_hold_no_token(address: str) -> None:
    assert token_of(address) is None
