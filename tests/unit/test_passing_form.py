"""What a person fills in on the page, whatever that is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.passing_on import MOST_STARTUPS, Told, Way
from services.runtime.language import languages, speech
from services.subscribers.passing import words
from services.subscribers.passing.form import Form, check, form_of

ENGLISH = speech("en")


@given(st.dictionaries(st.sampled_from(["way", "startups", "more"]), st.text(max_size=80)))
def test_whatever_is_filled_in_it_is_told_or_said_what_is_wrong(fields: dict[str, str]) -> None:
    read = check(form_of(fields), ENGLISH)
    if isinstance(read, Told):
        assert read.startups is None or 0 <= read.startups <= MOST_STARTUPS
    else:
        assert read.keys() <= {"way", "startups"}
        assert all(sentence.endswith(".") for sentence in read.values())


@given(st.integers(0, MOST_STARTUPS), st.sampled_from(["{}", " {} ", "{:,}"]), st.sampled_from(",. '\u00a0"))
def test_a_number_may_be_written_as_people_do(number: int, shape: str, separator: str) -> None:
    text = shape.format(number).replace(",", separator)
    assert check(form_of({"way": "mail", "startups": text}), ENGLISH) == Told(way=Way.MAIL, startups=number)


@pytest.mark.parametrize(
    "text", ["1,5", "1.23", "12.3456", "1..000", ".500", "1 000 000 000", "1,", "²", "一"]
)
def test_what_could_be_read_as_another_number_is_asked_again(text: str) -> None:
    read = check(Form("mail", text), ENGLISH)
    assert not isinstance(read, Told)
    assert list(read) == ["startups"]


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("startups", [None, 0, 1, 1200])
def test_every_way_can_be_said_in_every_language(language: str, startups: int | None) -> None:
    said = [words.summary({"way": str(way), "startups": startups}, speech(language)) for way in Way]
    assert len(set(said)) == len(Way)
    assert all(("1.200" if language == "nl" else "1,200") in text for text in said if startups == 1200)
