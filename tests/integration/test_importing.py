"""Files: all of one or nothing of it, twice is once, and who went stays away."""

import pytest

from services.runtime.database import Pool
from services.runtime.settings import Settings
from services.runtime.vault import Vault
from services.storage import subscriptions
from services.subscribers.importing import Report, import_rows, read_rows

VAULT = Vault(Settings(secret_key="k" * 32))
HEADER = (
    "slug,name,kind,timezone,digest_hour,reminder_days,people,"
    "channel,target,filter,cadence,quiet_hours,reminders\n"
)
FIRST = HEADER + "a,A,other,,,,An <an@a.example>,email,info@a.example,,,,\n"
CHANGED = (
    HEADER
    + "a,A,other,Europe/Lisbon,7,none,An <an@a.example>; Bo <bo@a.example>,email,info@a.example,"
    + '"{""regions"":[""BE2""]}",weekly,20:00-07:00,no\n'
)


async def imported(pool: Pool, text: str, *, dry_run: bool = False) -> Report:
    return await import_rows(pool, VAULT, read_rows(text), dry_run=dry_run)


async def kept(pool: Pool) -> tuple[object, ...]:
    """Read what there is of the subscriber and its subscription."""
    row = await pool.fetchrow(
        "SELECT r.timezone, r.digest_hour, r.reminder_days, s.cadence, s.quiet_from::text, "
        "s.reminders, s.filter, s.status::text, (SELECT count(*) FROM people) AS people "
        "FROM subscribers r JOIN subscriptions s ON s.subscriber_id = r.id"
    )
    assert row is not None
    return tuple(row)


BEFORE: tuple[object, ...] = ("Europe/Brussels", 8, [14, 5, 1], "immediate", None, True, {}, "active", 1)
AFTER: tuple[object, ...] = (
    *("Europe/Lisbon", 7, [], "weekly", "20:00:00", False),
    *({"regions": ["BE2"]}, "active", 2),
)


async def test_what_a_file_says_otherwise_is_changed_and_an_empty_cell_says_nothing(pool: Pool) -> None:
    assert await imported(pool, FIRST) == Report(added_subscribers=1, added_subscriptions=1)
    assert await kept(pool) == BEFORE
    assert await imported(pool, CHANGED, dry_run=True) == Report(changed=2)
    assert await kept(pool) == BEFORE
    assert await imported(pool, CHANGED) == Report(changed=2)
    assert await kept(pool) == AFTER
    for again in (CHANGED, FIRST):
        assert await imported(pool, again) == Report(unchanged=2)
    assert await kept(pool) == AFTER


async def test_one_bad_row_keeps_all_others_out(pool: Pool) -> None:
    bad = FIRST + "b,B,other,,24,,,email,b@b.example,,hourly,,\n"
    report = await imported(pool, bad)
    assert [(p.line, p.column) for p in report.problems] == [(3, "digest_hour"), (3, "cadence")]
    assert await pool.fetchval("SELECT count(*) FROM subscribers") == 0


@pytest.mark.parametrize(
    ("reason", "comes_back"),
    [("ended", True), ("not_confirmed", True), ("unsubscribed", False), ("refused", False)],
)
async def test_who_went_stays_away_unless_it_was_not_their_doing(
    pool: Pool, reason: str, comes_back: bool
) -> None:
    await imported(pool, FIRST)
    async with pool.acquire() as connection, connection.transaction():
        await subscriptions.end(connection, await pool.fetchval("SELECT id FROM subscriptions"), reason)
    report = await imported(pool, FIRST)
    assert (report.added_subscriptions, report.unsubscribed) == ((1, 0) if comes_back else (0, 1))
