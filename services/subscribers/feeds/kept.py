"""Keeps what was written last, so that whoever asks for the same is not kept waiting.

Rules:
1. It is kept by all that it depends on, as an ETag names it: so it is what would be written now.
2. What is kept has a size in all; beyond it, what was asked for longest ago goes first. It is of one process.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable

#: About fifty calendars of 500 deadlines, or thirty full pages of the stream.
MOST_BYTES = 16_000_000


class Kept:
    """What was written, by what it depends on."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._written: OrderedDict[Hashable, bytes] = OrderedDict()
        self._bytes, self._most_bytes = 0, most_bytes

    @property
    def size(self) -> int:
        """How much is kept, in bytes."""
        return self._bytes

    async def get(self, etag: str, write: Callable[[], Awaitable[bytes]]) -> bytes:
        """Give the answer with this ETag; write it when it is not kept."""
        kept = self.find(etag)
        return self.keep(etag, await write()) if kept is None else kept

    def find(self, key: Hashable) -> bytes | None:
        """Find what is kept; None when it is not."""
        if key in self._written:
            self._written.move_to_end(key)
        return self._written.get(key)

    def keep(self, key: Hashable, written: bytes) -> bytes:
        """Keep what was written, unless it is larger than all may be; give it back."""
        if len(written) <= self._most_bytes:
            # somebody else may have asked for it meanwhile
            self._bytes += len(written) - len(self._written.pop(key, b""))
            self._written[key] = written
        while self._bytes > self._most_bytes:
            _, oldest = self._written.popitem(last=False)
            self._bytes -= len(oldest)
        return written
