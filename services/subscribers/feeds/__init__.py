"""The feeds: Atom, RSS, JSON Feed, iCalendar and a Linked Data Event Stream of the same opportunities."""
