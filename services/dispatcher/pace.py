"""How much of a sender each destination may take: little until it has shown that it answers.

Rules:
1. A destination begins with a window of a few deliveries in flight.
2. Every success widens its window by one, up to a cap; a failure halves it, down to a few.
3. So receivers that never answer hold few slots, and the others do not notice them, not even those
   that share their host.
"""

from collections import Counter, OrderedDict

FIRST_WINDOW = 8
SMALLEST_WINDOW = 4
_REMEMBERED = 1_000


class Pace:
    """The windows of the destinations of one sender."""

    def __init__(self, cap: int) -> None:
        self.first_window = min(FIRST_WINDOW, cap)
        self._cap = cap
        self._in_flight: Counter[str] = Counter()
        self._windows: OrderedDict[str, int] = OrderedDict()

    def begin(self, destination: str) -> None:
        """Note that a delivery goes out."""
        self._in_flight[destination] += 1

    def end(self, destination: str, *, answered_well: bool) -> None:
        """Note that it is back."""
        self._in_flight[destination] -= 1
        if not self._in_flight[destination]:
            del self._in_flight[destination]
        window = self._windows.pop(destination, self.first_window)
        smaller = max(window // 2, min(SMALLEST_WINDOW, self._cap))
        self._windows[destination] = min(window + 1, self._cap) if answered_well else smaller
        if len(self._windows) > _REMEMBERED:
            self._windows.popitem(last=False)

    def room(self) -> dict[str, int]:
        """How many more each destination may take; those not named may take `first_window`."""
        busy = {d: self._window(d) - n for d, n in self._in_flight.items()}
        wary = {d: w for d, w in self._windows.items() if w < self.first_window and d not in busy}
        return {**busy, **wary}

    def _window(self, destination: str) -> int:
        return self._windows.get(destination, self.first_window)
