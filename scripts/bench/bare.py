"""What the bare libraries do, to compare with; its own process (`python -m scripts.bench.bare`).

`webhook PORT` posts with aiohttp, `mail PORT` hands in with aiosmtplib; what to send is read from
standard input; what comes out is one line, the rate per second and the processor ms for each.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import count
from typing import TypeVar

import aiohttp
import uvloop
from aiosmtplib import SMTP
from yarl import URL

T = TypeVar("T")
#: As long as those of a signed webhook.
_HEADERS = {
    "accept": "*/*",
    "accept-encoding": "identity",
    "content-type": "application/json",
    "user-agent": "Omroeper/0.1.0",
    "webhook-id": "0198a6a0-6d5e-7c3c-a54c-6e4f64a0b5c9",
    "webhook-timestamp": "1750000000",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
}


async def _rate(workers: Sequence[Callable[[], Awaitable[None]]], rounds: int) -> tuple[float, float]:
    """Do the work in turns, `rounds` times; tell how many a second, and the processor ms for each."""
    turns = iter(range(rounds))

    async def work(do: Callable[[], Awaitable[None]]) -> None:
        for _ in turns:
            await do()

    begun, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work(worker) for worker in workers))
    return rounds / (time.perf_counter() - begun), (time.process_time() - used) / rounds * 1000


async def _webhooks(port: int, body: bytes, *, hosts: int, slots: int, rounds: int) -> tuple[float, float]:
    numbers: Iterator[int] = count()
    urls = [URL(f"http://127.0.0.{number + 2}:{port}/w") for number in range(hosts)]
    connector = aiohttp.TCPConnector(limit=slots)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def post() -> None:
            async with session.post(urls[next(numbers) % hosts], data=body, headers=_HEADERS) as response:
                await response.read()

        await _rate([post] * slots, slots * 2)  # so that connections are open
        return await _rate([post] * slots, rounds)


async def _mails(port: int, mail: bytes, *, slots: int, rounds: int) -> tuple[float, float]:
    clients = [SMTP(hostname="127.0.0.1", port=port, start_tls=False) for _ in range(slots)]
    for client in clients:
        await client.connect()

    def sender(client: SMTP) -> Callable[[], Awaitable[None]]:
        async def send() -> None:
            await client.sendmail("bench@opdrachten.example", ["someone@incubator.example"], mail)

        return send

    found = await _rate([sender(client) for client in clients], rounds)
    for client in clients:
        await client.quit()
    return found


def main() -> None:
    """Measure once, and say what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("webhook", "mail"))
    parser.add_argument("port", type=int)
    parser.add_argument("--hosts", type=int, default=1)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    asked = parser.parse_args()
    body, sizes = sys.stdin.buffer.read(), {"slots": asked.slots, "rounds": asked.rounds}
    if asked.what == "webhook":
        print(*uvloop.run(_webhooks(asked.port, body, hosts=asked.hosts, **sizes)))
    else:
        print(*uvloop.run(_mails(asked.port, body, **sizes)))


if __name__ == "__main__":
    main()
