"""The pace per destination: whoever does not answer gets little, and the others do not notice."""

from hypothesis import given
from hypothesis import strategies as st

from services.dispatcher.pace import Pace

FIRST, FLOOR = 8, 4

caps = st.integers(1, 40)
results = st.lists(st.booleans(), max_size=60)


def room(pace: Pace[str], destination: str) -> int:
    return pace.room().get(destination, pace.first_window)


def tell(pace: Pace[str], destination: str, *answers: bool) -> None:
    for answered_well in answers:
        pace.begin(destination)
        pace.end(destination, answered_well=answered_well)


@given(caps)
def test_a_destination_not_seen_before_gets_the_first_window(cap: int) -> None:
    pace = Pace[str](first=FIRST, floor=FLOOR, cap=cap)
    assert pace.room() == {}
    assert pace.first_window == min(FIRST, cap)


@given(caps, results)
def test_success_widens_by_one_and_failure_halves_down_to_a_few(cap: int, answers: list[bool]) -> None:
    pace, window = Pace[str](first=FIRST, floor=FLOOR, cap=cap), min(FIRST, cap)
    for answered_well in answers:
        pace.begin("a")
        assert room(pace, "a") == window - 1
        pace.end("a", answered_well=answered_well)
        smaller = max(window // 2, min(FLOOR, cap))
        window = min(window + 1, cap) if answered_well else smaller


@given(caps, st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=80))
def test_who_keeps_to_the_room_never_goes_beyond_the_cap(cap: int, calls: list[tuple[str, bool]]) -> None:
    pace, flying = Pace[str](first=FIRST, floor=FLOOR, cap=cap), dict.fromkeys("abc", 0)
    for destination, ends in calls:
        if ends and flying[destination]:
            pace.end(destination, answered_well=True)
            flying[destination] -= 1
        elif room(pace, destination) > 0:
            pace.begin(destination)
            flying[destination] += 1
        assert flying[destination] <= cap


@given(caps, results)
def test_one_destination_never_costs_another_its_room(cap: int, answers: list[bool]) -> None:
    pace = Pace[str](first=FIRST, floor=FLOOR, cap=cap)
    tell(pace, "a", *answers)
    for _ in range(pace.first_window):
        pace.begin("a")
    assert room(pace, "b") == pace.first_window


@given(caps, st.integers(8, 30))
def test_a_failing_destination_keeps_a_few_slots_and_recovers_with_them(cap: int, failures: int) -> None:
    pace = Pace[str](first=FIRST, floor=FLOOR, cap=cap)
    tell(pace, "a", *[True] * cap, *[False] * failures)
    few = min(FLOOR, cap)
    assert room(pace, "a") == few
    for _ in range(few):
        pace.begin("a")
    assert room(pace, "a") == 0
    pace.end("a", answered_well=True)
    assert room(pace, "a") == min(few + 1, cap) - (few - 1)


def test_it_does_not_remember_destinations_without_end() -> None:
    pace = Pace[str](first=FIRST, floor=FLOOR, cap=10)
    for number in range(5_000):
        tell(pace, f"host-{number}", False)
    assert 0 < len(pace.room()) <= 1_000
    assert room(pace, "host-4999") < pace.first_window
