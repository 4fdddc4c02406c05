"""`omroeper publish FILE…`: opportunities, events and eForms notices, from files or standard input."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.context import Data, Failed, Json, run, settings_for, show
from services.domain.problems import Invalid
from services.domain.strict_json import parse_json
from services.embedded.data_dir import Running
from services.publisher.client import Published, PublisherClient, PublishRefused
from services.publisher.eforms import NoticeError, read_notice
from services.publisher.notices import notice_event
from services.runtime.settings import Settings

Files = Annotated[list[str], typer.Argument(metavar="FILE…", help="JSON or XML; `-` is standard input.")]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one event of a file."""

    file: str
    status: str
    id: str | None = None
    problem: str | None = None


def publish(files: Files, data: Data = None, json_: Json = False) -> None:
    """Publish opportunities: CloudEvents, plain opportunities (JSON) or eForms notices (XML)."""
    answers = run(_publish(files, data))
    if json_:
        show([asdict(answer) for answer in answers])
    else:
        for answer in answers:
            _tell(answer)
    if any(answer.status == "refused" for answer in answers):
        raise typer.Exit(1)


def _tell(answer: Answer) -> None:
    if answer.problem:
        typer.echo(f"refused    {answer.file}\n{_indented(answer.problem)}", err=True)
    else:
        typer.echo(f"{answer.status:<10} {answer.id}  {answer.file}")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


async def _publish(files: list[str], data: str | None) -> list[Answer]:
    settings, running = settings_for(data)
    url, key = _where(settings, running)
    answers: list[Answer] = []
    async with PublisherClient(url, key) as client:
        for file in files:
            try:
                answers += await _publish_one(client, file, read_content(_bytes(file), settings.event_source))
            except (NoticeError, Invalid, PublishRefused) as error:
                answers.append(Answer(file, "refused", problem=str(error)))
    return answers


def _where(settings: Settings, running: Running | None) -> tuple[str, str]:
    if running:
        return running.url, settings.api_key or running.api_key
    if settings.publisher_url:
        settings.need("api_key")
        return settings.publisher_url, settings.api_key
    raise Failed(
        f"nothing runs in {settings.data_dir}, and OMROEPER_PUBLISHER_URL is not set. "
        "Start `omroeper up`, or say where the publisher is"
    )


def _bytes(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror}") from None


def read_content(raw: bytes, source: str) -> Any:
    """Read a file's content: XML as a notice, the rest as JSON; raise `NoticeError` or `Invalid`.

    `source` is the CloudEvents source of events that are made of notices.
    """
    start = raw[:100].lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\x00")
    return notice_event(read_notice(raw), source) if start.startswith(b"<") else parse_json(raw)


async def _publish_one(client: PublisherClient, file: str, content: Any) -> list[Answer]:
    if isinstance(content, list):
        return [_answer(file, one) for one in await client.publish_batch(content)]
    return [_answer(file, await client.publish(content))]


def _answer(file: str, outcome: Published | PublishRefused) -> Answer:
    if isinstance(outcome, Published):
        return Answer(file, outcome.status, outcome.id)
    return Answer(file, "refused", problem=str(outcome))
