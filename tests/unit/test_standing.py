"""Why a delivery stands as it does, in words."""

from services.domain.standing import standing
from services.runtime.language import speech

NL, EN = speech("nl"), speech("en")


def test_what_people_can_do_something_with_has_a_sentence() -> None:
    assert standing("quiet_hours", NL) == "Wacht tot de stille uren voorbij zijn."
    assert standing("superseded", EN) == "A newer version of the opportunity took its place."
    assert standing("bounced", EN) == "Earlier mails to this address came back."


def test_an_answer_of_the_other_side_stays_a_code() -> None:
    assert standing("smtp_451", NL) == "smtp_451"


def test_a_plain_state_needs_no_words() -> None:
    assert standing(None, NL) == ""
