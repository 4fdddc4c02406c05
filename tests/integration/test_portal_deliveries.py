"""The page of a delivery: what went with a digest shows how often that mail was tried."""

from services.runtime.database import Pool
from tests.integration.mailing import at, post_office
from tests.integration.portal_visits import town


async def test_what_went_with_a_digest_shows_the_attempts_of_the_mail(pool: Pool, database_url: str) -> None:
    async with town(pool) as here, post_office(pool, database_url, secret_key="k" * 32) as post:
        house = await here.house()
        await pool.execute("UPDATE subscriptions SET cadence = 'daily' WHERE id = $1", house.email)
        await post.books.plan(at=at("2027-01-11T10:00"))
        await post.make("2027-01-12T08:00")
        answers = iter(["451 4.7.1 Greylisted"])
        post.relay.answer = lambda envelope: next(answers, "250 OK")
        await post.mails()
        row = next(r for r in await here.books.of_subscription(house.email) if r["event_id"])
        visitor = await here.signed_in(house)
        page = await visitor.get(f"/portal/deliveries/{row['id']}")
    assert page.status == 200
    assert "(451)" in page.words
    assert "(250)" in page.words
