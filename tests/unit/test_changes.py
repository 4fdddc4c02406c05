"""What changed between two versions, and how it is said."""

from typing import Any

import pytest
from hypothesis import given

from services.dispatcher.mail.changed import sentences
from services.domain.changes import changes
from services.domain.opportunity import Opportunity, parse_opportunity
from services.runtime.language import speech
from tests.rig.samples import opportunities, opportunity

NL, EN = speech("nl"), speech("en")


def read(**changed: Any) -> dict[str, Any]:
    """An opportunity as it is stored, always the same one."""
    return parse_opportunity(opportunity(id="een", **changed)).as_json()


@pytest.mark.parametrize(
    "same",
    [
        {"deadline": "2099-06-30T10:00:00Z"},
        {"regions": ["BE2", "BE211"], "themes": ["zorg", "mobiliteit"]},
        {"estimated_value": {"amount": "139000.00"}},
        {"version": 2, "published_at": "2027-02-01T09:00:00+01:00"},
        {"something": "that we do not know"},
    ],
)
def test_the_same_thing_written_otherwise_is_no_change(same: dict[str, Any]) -> None:
    before = read(regions=["BE211", "BE2"], themes=["mobiliteit", "zorg"])
    after = read(**{"regions": ["BE211", "BE2"], "themes": ["mobiliteit", "zorg"], **same})
    assert changes(before, after) == []


def test_each_change_says_from_what_to_what() -> None:
    before, after = read(), read(deadline="2099-07-31T12:00:00+02:00", url=None, regions=["BE211", "BE10"])
    assert changes(before, after) == [
        {"field": "deadline", "from": "2099-06-30T12:00:00+02:00", "to": "2099-07-31T12:00:00+02:00"},
        {"field": "regions", "from": ["BE211"], "to": ["BE211", "BE10"]},
        {"field": "url", "from": "https://marketplace.example/opdrachten/1", "to": None},
    ]


def test_long_texts_are_not_repeated() -> None:
    (change,) = changes(read(), read(description="Een " + "heel " * 1_000 + "lange tekst"))
    assert change == {"field": "description", "from": None, "to": None}


@given(opportunities(), opportunities())
def test_every_change_can_be_said_in_every_language(before: dict[str, Any], after: dict[str, Any]) -> None:
    found = changes(parse_opportunity(before).as_json(), parse_opportunity(after).as_json())
    for said in (NL, EN):
        for sentence in sentences(found, said):
            assert sentence
            assert sentence[-1] == "."
            assert "%(" not in sentence


@given(opportunities())
def test_nothing_changed_between_a_version_and_itself(data: dict[str, Any]) -> None:
    stored = parse_opportunity(data).as_json()
    assert changes(stored, stored) == []


def test_every_field_that_people_see_is_compared() -> None:
    untold = {"id", "version", "published_at"}
    for field in set(Opportunity.model_fields) - untold:
        values: dict[str, Any] = {
            "questions_until": "2099-05-01T12:00:00+02:00",
            "description": "Tekst",
            "contact": {"email": "info@stad.example"},
            "documents": [{"url": "https://stad.example/bestek.pdf"}],
            "title": "Iets anders",
        }
        other = read(**{field: values.get(field)})
        assert [change["field"] for change in changes(read(), other)] == [field], field


SAID = [
    (
        {"deadline": "2099-07-31T12:00:00+02:00"},
        "De uiterste indieningsdatum is verplaatst van 30 juni 2099 om 12.00 uur"
        " naar 31 juli 2099 om 12.00 uur.",
    ),
    ({"deadline": None}, "Er is geen uiterste indieningsdatum meer; die was 30 juni 2099 om 12.00 uur."),
    (
        {"questions_until": "2099-05-01T12:00:00+02:00"},
        "Vragen stellen kan tot 1 mei 2099 om 12.00 uur.",
    ),
    (
        {"title": "Sensoren"},
        "De titel was “Slimme sensoren voor de kade” en is nu “Sensoren”.",
    ),
    ({"summary": "Anders"}, "De samenvatting is gewijzigd."),
    (
        {"estimated_value": {"amount": 5000}},
        "De geraamde waarde was 139.000 euro en is nu 5.000 euro.",
    ),
    ({"regions": ["BE22"]}, "Regio's toegevoegd: Limburg."),
    ({"regions": ["BE22"]}, "Regio's weggevallen: Antwerpen (BE211)."),
    (
        {"documents": [{"title": "Bestek", "url": "https://stad.example/b.pdf"}]},
        "Documenten toegevoegd: Bestek.",
    ),
    (
        {"buyer": {"name": "Gemeente Dorp"}},
        "De aanbestedende overheid was Stad Voorbeeld en is nu Gemeente Dorp.",
    ),
    ({"contact": {"email": "a@b.example"}}, "Het contact staat er nu bij: a@b.example."),
]


@pytest.mark.parametrize(("changed", "sentence"), SAID, ids=[sentence for _, sentence in SAID])
def test_a_change_is_said_in_dutch(changed: dict[str, Any], sentence: str) -> None:
    assert sentence in sentences(changes(read(), read(**changed)), NL)


def test_what_reads_the_same_in_a_language_is_not_said_in_it() -> None:
    before = read(title={"nl": "Kade", "en": "Quay"})
    after = read(title={"nl": "Kade", "en": "Wharf"})
    found = changes(before, after)
    assert sentences(found, NL) == []
    assert sentences(found, EN) == ["The title was “Quay” and is now “Wharf”."]


def test_a_text_of_somebody_elses_cannot_steer_the_sentence() -> None:
    tricks = "%(after)s %s {0}\u202e"
    (sentence,) = sentences(changes(read(title="Kade"), read(title=tricks)), NL)
    assert sentence == "De titel was “Kade” en is nu “%(after)s %s {0} ”."
