"""Signing in by a link: once, in time, for who may, and telling nobody who that is."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from services.runtime.database import Pool
from services.runtime.vault import token_hash
from services.storage import people
from services.subscribers.portal.sign_in import OVER_ALL, PER_ADDRESS, PER_NETWORK
from tests.integration.portal_visits import House, Town, Visitor, town

COOKIE = "omroeper_session"


@pytest.fixture
async def here(pool: Pool) -> AsyncIterator[Town]:
    async with town(pool) as opened:
        yield opened


async def ask(here: Town, email: str, **headers: str) -> Any:
    return await here.visitor().fill("/portal/sign-in", {"email": email}, **headers)


async def link_of(here: Town, house: House) -> str:
    """Ask for a link, and read it where only the owner of the mailbox does."""
    await ask(here, house.contact)
    shown: str = (await here.letters())[-1]["shown"]["link"]
    return shown.removeprefix("http://omroeper.example")


async def test_a_link_in_a_letter_signs_in(here: Town) -> None:
    house = await here.house("Startershuis De Kaai")
    visitor = await here.signed_in(house)
    page = await visitor.get("/portal")
    assert page.status == 200
    assert "Startershuis De Kaai" in page.words


async def test_a_letter_goes_to_the_mailbox_however_it_was_typed(here: Town) -> None:
    house = await here.house()
    await ask(here, f"  {house.contact.upper()} ")
    (letter,) = await here.letters()
    assert (letter["kind"], letter["recipient"], letter["shown"]["minutes"]) == ("sign_in", house.contact, 15)


async def test_known_and_unknown_addresses_get_the_same_answer_and_only_one_gets_a_letter(here: Town) -> None:
    house = await here.house()
    known, unknown = await ask(here, house.contact), await ask(here, "nobody@elsewhere.example")
    assert (known.status, known.to, known.text) == (unknown.status, unknown.to, unknown.text)
    assert known.headers.keys() == unknown.headers.keys()
    assert [letter["recipient"] for letter in await here.letters()] == [house.contact]
    assert await here.count("letters") == await here.count("sign_in_links") == 1


ASKED: list[str] = []


class Watched(asyncpg.Connection):
    """A connection that keeps what it is asked."""

    async def execute(self, query: str, *args: Any, **more: Any) -> str:
        ASKED.append(query)
        return await super().execute(query, *args, **more)

    async def fetch(self, query: str, *args: Any, **more: Any) -> Any:
        ASKED.append(query)
        return await super().fetch(query, *args, **more)

    async def fetchval(self, query: str, *args: Any, **more: Any) -> Any:
        ASKED.append(query)
        return await super().fetchval(query, *args, **more)


async def test_known_and_unknown_addresses_are_the_same_work(
    pool: Pool, database_url: str, here: Town
) -> None:
    house, work = await here.house(), []
    watching = asyncpg.create_pool(database_url, connection_class=Watched, min_size=1, max_size=2)
    async with watching as watched, town(watched) as there:
        for address in (house.contact, "nobody@elsewhere.example"):
            visitor = there.visitor()
            await visitor.get("/portal/sign-in")
            ASKED.clear()
            await visitor.post("/portal/sign-in", {"email": address})
            work.append([query.split()[0] for query in ASKED])
    known, unknown = work
    assert len(known) > 5
    # a savepoint is given up in place of kept: that is all
    assert [word for word in known if word != "RELEASE"] == [word for word in unknown if word != "ROLLBACK"]


async def test_opening_a_link_changes_nothing_however_often(here: Town) -> None:
    house = await here.house()
    link = await link_of(here, house)
    visitor = here.visitor()
    for _ in range(3):
        page = await visitor.get(link)
        assert (page.status, COOKIE in page.cookies) == (200, False)
        assert house.contact in page.words
    assert await here.count("sessions") == 0


async def test_a_link_works_once_even_for_two_at_the_same_moment(here: Town) -> None:
    link = await link_of(here, await here.house())
    visitors = [here.visitor() for _ in range(4)]
    for visitor in visitors:
        await visitor.get(link)
    pages = await asyncio.gather(*(visitor.post(link) for visitor in visitors))
    assert sorted(page.status for page in pages) == [303, 410, 410, 410]
    assert await here.count("sessions") == 1
    assert (await here.visitor().get(link)).status == 410


async def test_a_link_is_of_no_use_after_a_quarter_of_an_hour(here: Town) -> None:
    link = await link_of(here, await here.house())
    visitor = here.visitor()
    await visitor.get(link)
    await here.pool.execute("UPDATE sign_in_links SET expires_at = now()")
    assert (await visitor.post(link)).status == 410
    assert (await visitor.get(link)).status == 410


@pytest.mark.parametrize("forged", ["", "x", "a" * 43, "%00", "..%2F..", "é", "a" * 3000])
async def test_a_forged_link_is_a_kind_page(here: Town, forged: str) -> None:
    page = await here.visitor().get(f"/portal/sign-in/{forged}")
    assert page.status in (404, 410)
    assert "<h1>" in page.text


async def test_only_hashes_of_links_and_sessions_are_kept(here: Town) -> None:
    house = await here.house()
    link = await link_of(here, house)
    kept = await here.pool.fetchval("SELECT hash FROM sign_in_links")
    assert kept == token_hash(link.rpartition("/")[2])
    visitor = here.visitor()
    await visitor.fill(link)
    assert await here.pool.fetchval("SELECT hash FROM sessions") == token_hash(visitor.cookies[COOKIE])


async def test_a_session_that_somebody_else_chose_is_never_signed_in(here: Town) -> None:
    """Fixation: whoever plants a cookie does not share what comes of it."""
    link = await link_of(here, await here.house())
    visitor = here.visitor()
    visitor.cookies[COOKIE] = "planted"
    await visitor.fill(link)
    assert visitor.cookies[COOKIE] != "planted"
    thief = here.visitor()
    thief.cookies[COOKIE] = "planted"
    assert (await thief.get("/portal")).to == "/portal/sign-in"


async def test_signing_in_again_ends_the_session_of_before(here: Town) -> None:
    house = await here.house()
    visitor = await here.signed_in(house)
    before = visitor.cookies[COOKIE]
    await visitor.fill(await link_of(here, house))
    assert visitor.cookies[COOKIE] != before
    old = here.visitor()
    old.cookies[COOKIE] = before
    assert (await old.get("/portal")).to == "/portal/sign-in"


async def test_signing_out_ends_the_session_in_the_database(here: Town) -> None:
    visitor = await here.signed_in(await here.house())
    kept = dict(visitor.cookies)
    await visitor.get("/portal")
    page = await visitor.post("/portal/sign-out")
    assert page.to == "/portal/sign-in?done=signed-out"
    assert await here.count("sessions") == 0
    visitor.cookies = kept
    assert (await visitor.get("/portal")).to == "/portal/sign-in"


async def test_signing_out_everywhere_ends_every_session_of_this_address_alone(here: Town) -> None:
    house = await here.house()
    async with here.pool.acquire() as connection:
        await people.add(connection, house.id, "Els", "els@huis.example")
    first, second = await here.signed_in(house), await here.signed_in(house)
    other = await here.signed_in(house, "els@huis.example")
    await first.get("/portal")
    await first.post("/portal/sign-out-everywhere")
    assert (await second.get("/portal")).status == 303
    assert (await other.get("/portal")).status == 200


async def test_a_session_lasts_while_it_is_used_but_not_for_ever(here: Town) -> None:
    visitor = await here.signed_in(await here.house())
    await here.pool.execute("UPDATE sessions SET expires_at = now() + interval '1 day'")
    await visitor.get("/portal")
    left = "SELECT extract(epoch FROM expires_at - now()) / 86400 FROM sessions"
    assert await here.pool.fetchval(left) == pytest.approx(14, abs=0.01)
    await here.pool.execute("UPDATE sessions SET created_at = now() - interval '29 days'")
    await here.pool.execute("UPDATE sessions SET expires_at = now() + interval '1 hour'")
    await visitor.get("/portal")
    assert await here.pool.fetchval(left) == pytest.approx(1, abs=0.01)
    await here.pool.execute("UPDATE sessions SET expires_at = now()")
    assert (await visitor.get("/portal")).to == "/portal/sign-in"


async def test_who_is_removed_is_out_at_once(here: Town) -> None:
    house = await here.house()
    async with here.pool.acquire() as connection:
        person = await people.add(connection, house.id, "Els", "els@huis.example")
    visitor = await here.signed_in(house, "els@huis.example")
    async with here.pool.acquire() as connection:
        assert person is not None
        await people.remove(connection, house.id, person)
    assert (await visitor.get("/portal/people")).to == "/portal/choose"
    assert "geen organisatie" in (await visitor.get("/portal/choose")).words


async def two_houses(here: Town) -> tuple[House, House, Visitor]:
    first, second = await here.house("Huis A"), await here.house("Huis B")
    async with here.pool.acquire() as connection:
        for house in (first, second):
            await people.add(connection, house.id, "Els", "els@beide.example")
    return first, second, await here.signed_in(first, "els@beide.example")


async def test_who_may_sign_in_for_two_chooses_one(here: Town) -> None:
    _, second, visitor = await two_houses(here)
    assert (await visitor.get("/portal")).to == "/portal/choose"
    page = await visitor.get("/portal/choose")
    assert "Huis A" in page.words
    assert "Huis B" in page.words
    assert (await visitor.post("/portal/choose", {"subscriber": str(second.id)})).to == "/portal"
    assert "Huis B" in (await visitor.get("/portal")).words


@pytest.mark.parametrize(
    "wanted", ["stranger", "", "not-an-id", "\x00", "00000000-0000-0000-0000-000000000000"]
)
async def test_nobody_chooses_a_house_that_is_not_theirs(here: Town, wanted: str) -> None:
    _, _, visitor = await two_houses(here)
    stranger = await here.house("Huis C")
    await visitor.get("/portal/choose")
    chosen = str(stranger.id) if wanted == "stranger" else wanted
    assert (await visitor.post("/portal/choose", {"subscriber": chosen})).to == "/portal/choose"
    assert (await visitor.get("/portal")).to == "/portal/choose"


async def test_cookies_are_kept_from_scripts_and_other_sites(here: Town) -> None:
    link = await link_of(here, await here.house())
    page = await here.visitor().fill(link)
    cookie = page.cookies[COOKIE]
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert "Domain" not in cookie


async def test_over_https_cookies_belong_to_our_host_alone(pool: Pool) -> None:
    async with town(pool, public_url="https://omroeper.example") as here:
        house = await here.house()
        visitor = here.visitor()
        await visitor.fill("/portal/sign-in", {"email": house.contact})
        link = (await here.letters())[-1]["shown"]["link"]
        page = await visitor.fill(link.removeprefix("https://omroeper.example"))
    cookie = page.cookies[f"__Host-{COOKIE}"]
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(cookie.split("; "))


@pytest.mark.parametrize(
    "typed",
    ["", "nope", "a b@c.example", "é@c.example", "a@c.example\r\nBcc: x@y.example", "x" * 300 + "@c.example"],
)
async def test_what_is_no_address_is_said_kindly(here: Town, typed: str) -> None:
    page = await ask(here, typed)
    assert page.status == 422
    assert 'aria-describedby="email-hint email-wrong"' in page.text
    assert await here.count("letters") == await here.count("sign_in_links") == 0


async def test_an_address_gets_few_links_an_hour(here: Town) -> None:
    house = await here.house()
    for number in range(PER_ADDRESS):
        assert (await ask(here, house.contact, x_forwarded_for=f"10.0.{number}.1")).status == 303
    refused = await ask(here, house.contact, x_forwarded_for="10.1.1.1")
    assert (refused.status, refused.headers["retry-after"]) == (429, "3600")
    assert len(await here.letters()) == PER_ADDRESS
    await here.pool.execute("UPDATE sign_in_counts SET hour = hour - interval '1 hour'")
    assert (await ask(here, house.contact)).status == 303


@pytest.mark.parametrize("client", ["192.0.2.{}", "2001:db8:1:{}::1"])
async def test_a_network_asks_for_few_links_an_hour(here: Town, client: str) -> None:
    pages = [
        await ask(here, f"a{number}@b.example", x_forwarded_for=client.format(number))
        for number in range(PER_NETWORK + 2)
    ]
    assert [page.status for page in pages] == [303] * PER_NETWORK + [429] * 2


async def test_ten_thousand_attempts_leave_few_rows_and_no_mails(pool: Pool) -> None:
    """Half from one network, half from networks of their own; for one known address and for thousands."""
    async with town(pool) as here:
        house = await here.house()
        visitors = [here.visitor() for _ in range(20)]
        for visitor in visitors:
            await visitor.get("/portal/sign-in")

        async def hammer(visitor: Visitor, mine: range) -> set[int]:
            seen = set()
            for n in mine:
                client = f"10.{n % 250}.{n // 250}.9" if n % 2 else "192.0.2.1"
                address = house.contact if n % 4 == 1 else f"a{n}@b.example"
                page = await visitor.post("/portal/sign-in", {"email": address}, x_forwarded_for=client)
                seen.add(page.status)
            return seen

        answers = await asyncio.gather(
            *(hammer(visitor, range(number, 10_000, 20)) for number, visitor in enumerate(visitors))
        )
        assert set().union(*answers) == {303, 429}
        assert len(await here.letters()) <= PER_ADDRESS
        assert await here.count("sign_in_links") <= PER_ADDRESS
        assert await here.count("sign_in_counts") <= 2 * OVER_ALL + 1
        await pool.execute("UPDATE sign_in_counts SET hour = hour - interval '1 hour'")
        await pool.execute("UPDATE sign_in_links SET expires_at = now()")
        await ask(here, "one@more.example")
        assert await here.count("sign_in_counts") == 3
        assert await here.count("sign_in_links") == 0
