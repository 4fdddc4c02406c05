"""How much of a sender each receiver may take: little until it has shown that it answers.

Rules:
1. A key (a host, or one subscription) begins with a small window of deliveries in flight.
2. Every success widens its window by one, up to a cap; a failure halves it, down to a floor.
3. So receivers that never answer hold few slots, and the others do not notice them: not those on
   other hosts, and not those that share their host.
"""

from collections import Counter, OrderedDict
from collections.abc import Hashable
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
#: How many deliveries one host may have in flight before it has answered, and how few at least.
FIRST_OF_HOST, FLOOR_OF_HOST = 8, 4
#: The same of one subscription.
FIRST_OF_EACH, FLOOR_OF_EACH = 1, 1
_REMEMBERED = 1_000
#: How many idle ones may have a wide window at once; the others get theirs with the next claim.
_NAMED = 50


class Pace(Generic[K]):
    """The windows of the receivers of one sender, by key."""

    def __init__(self, *, first: int, floor: int, cap: int) -> None:
        self.first_window, self._floor, self._cap = min(first, cap), min(floor, cap), cap
        self._in_flight: Counter[K] = Counter()
        self._windows: OrderedDict[K, int] = OrderedDict()

    def begin(self, key: K) -> None:
        """Note that a delivery goes out."""
        self._in_flight[key] += 1

    def end(self, key: K, *, answered_well: bool) -> None:
        """Note that it is back."""
        self._in_flight[key] -= 1
        if not self._in_flight[key]:
            del self._in_flight[key]
        window = self._windows.pop(key, self.first_window)
        smaller = max(window // 2, self._floor)
        self._windows[key] = min(window + 1, self._cap) if answered_well else smaller
        if len(self._windows) > _REMEMBERED:
            self._windows.popitem(last=False)

    def full(self, key: K) -> bool:
        """Tell whether one may take no more before something of it is back."""
        return self._in_flight[key] >= self._window(key)

    def room(self) -> dict[K, int]:
        """How many more each may take; those not named may take `first_window`."""
        busy = {k: self._window(k) - n for k, n in self._in_flight.items()}
        wary = {k: w for k, w in self._windows.items() if w < self.first_window and k not in busy}
        lately = islice(reversed(self._windows.items()), _NAMED)
        wide = {k: w for k, w in lately if w > self.first_window and k not in busy}
        return {**busy, **wary, **wide}

    def _window(self, key: K) -> int:
        return self._windows.get(key, self.first_window)
