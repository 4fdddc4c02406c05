"""What changed between two versions of an opportunity, as plain facts.

Rules:
1. Only what we know the meaning of is compared; what the data holds besides is passed on untold.
2. The same thing written in another way is no change: an instant by another clock, a list in another order.
3. Long texts are not repeated: of a summary or description only that it changed.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from services.domain.opportunity import instant

Change = Mapping[str, Any]
Data = Mapping[str, Any]


def changes(before: Data, after: Data) -> list[Change]:
    """List what changed, most telling first: `{"field", "from", "to"}` in plain JSON; null: not there.

    >>> changes({"url": "https://a.example/1", "regions": ["BE2", "BE1"]}, {"regions": ["BE1", "BE2"]})
    [{'field': 'url', 'from': 'https://a.example/1', 'to': None}]
    >>> changes({"description": {"nl": "Kort."}}, {"description": {"nl": "Lang."}})
    [{'field': 'description', 'from': None, 'to': None}]
    """
    return [
        {"field": field, "from": None, "to": None}
        if field in _TEXTS
        else {"field": field, "from": before.get(field), "to": after.get(field)}
        for field, same in _COMPARED.items()
        if same(before.get(field)) != same(after.get(field))
    ]


def added_and_removed(change: Change) -> tuple[list[Any], list[Any]]:
    """Tell what a list has gained and lost, each in its own order."""
    old, new = _items(change["from"]), _items(change["to"])
    return [item for item in new if item not in old], [item for item in old if item not in new]


def _items(value: object) -> list[Any]:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []


def _amount(value: Any) -> Any:
    return value and (Decimal(str(value["amount"])), value.get("currency", "EUR"))


def _named(*names: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        return tuple((value or {}).get(name) for name in names)

    return read


def _set(value: Any) -> Any:
    return frozenset(value or ())


def _documents(value: Any) -> Any:
    return frozenset((document.get("title"), document["url"]) for document in value or ())


def _plain(value: Any) -> Any:
    return value


_TEXTS = frozenset({"summary", "description"})
#: How each field is read, so that what is the same compares as the same.
_COMPARED: Mapping[str, Callable[[Any], Any]] = {
    "deadline": instant,
    "questions_until": instant,
    "title": _plain,
    "summary": _plain,
    "description": _plain,
    "estimated_value": _amount,
    "documents": _documents,
    "buyer": _named("name", "url", "kbo", "ovo_code"),
    "procedure": _plain,
    "nature": _plain,
    "regions": _set,
    "themes": _set,
    "cpv": _set,
    "audience": _set,
    "url": _plain,
    "contact": _named("name", "email"),
}
