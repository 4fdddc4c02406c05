"""Keeps the large answers that were written last, so that whoever asks for the same is not kept waiting.

Rules:
1. An ETag names all that an answer depends on, so an answer kept by it is the one that would be written now.
2. What is kept has a size in all; beyond it, what was asked for longest ago goes first. It is of one process.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable

#: About fifty calendars of 500 deadlines, or thirty full pages of the stream.
MOST_BYTES = 16_000_000


class Kept:
    """Answers by their ETag."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self._bytes, self._most_bytes = 0, most_bytes

    @property
    def size(self) -> int:
        """How much is kept, in bytes."""
        return self._bytes

    async def get(self, etag: str, write: Callable[[], Awaitable[bytes]]) -> bytes:
        """Give the answer with this ETag; write it when it is not kept."""
        if etag in self._answers:
            self._answers.move_to_end(etag)
            return self._answers[etag]
        answer = await write()
        if len(answer) <= self._most_bytes:
            self._keep(etag, answer)
        return answer

    def _keep(self, etag: str, answer: bytes) -> None:
        # somebody else may have asked for it meanwhile
        self._bytes += len(answer) - len(self._answers.pop(etag, b""))
        self._answers[etag] = answer
        while self._bytes > self._most_bytes:
            _, oldest = self._answers.popitem(last=False)
            self._bytes -= len(oldest)
