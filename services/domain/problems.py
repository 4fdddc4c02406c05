"""What is wrong with something we were given, said per field."""

from dataclasses import dataclass

from pydantic import ValidationError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: a JSON Pointer to the field and a sentence for whoever can mend it.

    Source: RFC 9457 section 3 (extension member `errors`), RFC 6901 (JSON Pointer).
    """

    pointer: str
    detail: str


#: pydantic's wording, where ours says better what to do.
_PLAIN = {
    "extra_forbidden": "is not a known field; see the schema for the names",
    "missing": "is required",
    "timezone_aware": "needs an offset, such as 2027-01-12T12:00:00+01:00",
}


class Invalid(ValueError):
    """Refuse an input for the problems listed; it is never retried."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{p.pointer or '(whole)'}: {p.detail}" for p in problems))

    @classmethod
    def whole(cls, detail: str) -> "Invalid":
        """Refuse the whole of an input, not one field."""
        return cls(Problem("", detail))


def pointer(*path: str | int) -> str:
    """Spell a path as a JSON Pointer (RFC 6901 section 3).

    >>> pointer("data", "title", "a/b")
    '/data/title/a~1b'
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def from_pydantic(error: ValidationError, *prefix: str | int) -> Invalid:
    """Translate a pydantic refusal into ours, below the given prefix.

    The refused value itself is left out: it may hold an address or a secret.
    """
    problems: dict[tuple[str, str], Problem] = {}
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        path = [part for part in item["loc"] if part != "[key]"]
        detail = _PLAIN.get(item["type"]) or item["msg"].removeprefix("Value error, ")
        problem = Problem(pointer(*prefix, *path), detail)
        problems.setdefault((problem.pointer, problem.detail), problem)
    return Invalid(*problems.values())
