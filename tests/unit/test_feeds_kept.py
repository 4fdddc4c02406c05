"""Answers that are kept: the same bytes, written once, and never more of them than was agreed."""

from hypothesis import given
from hypothesis import strategies as st

from services.subscribers.feeds.kept import Kept


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40)), max_size=60))
async def test_an_answer_is_what_would_be_written_and_there_is_a_limit(asked: list[tuple[int, int]]) -> None:
    kept, sizes = Kept(most_bytes=100), dict(asked)
    for number, _ in asked:
        answer = str(number).encode() * sizes[number]

        async def write(answer: bytes = answer) -> bytes:
            return answer

        assert await kept.get(f'"{number}"', write) == answer
        assert kept.size <= 100


async def test_what_was_asked_for_longest_ago_goes_first() -> None:
    kept, written = Kept(most_bytes=20), []

    async def ask(name: str, size: int = 10) -> None:
        async def write() -> bytes:
            written.append(name)
            return b"x" * size

        await kept.get(name, write)

    for name in ("a", "b", "a", "c", "a", "b"):
        await ask(name)
    assert written == ["a", "b", "c", "b"]
    await ask("too large", 21)
    assert kept.size == 20
