"""Renders the texts of a mail from templates: ours, or the operator's in their place."""

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import css_inline
from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

import services
from services.domain.reason import one_line
from services.domain.speech import Speech
from services.runtime.language import install
from services.runtime.settings import PREFIX, ConfigError

OURS = Path(services.__file__).parents[1] / "templates"
FALLBACK_LANGUAGE = "en"
_SUBJECT_LENGTH = 150
_TEXT_WIDTH = 76
_TOO_MANY_LINES = re.compile(r"\n{3,}")
_A_MAIL = re.compile(r"email/[a-z]{2}(-[A-Z]{2})?/published\.html\.j2")
_STEMS = {"closed": "notice", "awarded": "notice"}

#: What goes wrong inside a template that somebody wrote.
_WRONG = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError)


class BadTemplate(Exception):
    """A template cannot be rendered; an operator must mend it."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The texts of a mail, personal marks still in them."""

    subject: str
    html: str
    text: str


class Templates:
    """The templates of mails, compiled once.

    A file in `directory` replaces ours of the same name. Whoever writes it is no programmer of
    this project, so it runs in a sandbox. Raises `ConfigError` when there is no such directory.
    """

    def __init__(self, directory: str = "") -> None:
        self._environment, self._directory = _environment(directory), directory
        self._spoken: dict[str, Environment] = {}
        names = self._environment.list_templates()
        self._languages = {name.split("/")[1] for name in names if _A_MAIL.fullmatch(name)}
        self._inliner = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)

    def language(self, wanted: str) -> str:
        """Choose the language to write in: the wanted one when there are templates for it, or English."""
        tags = (wanted, wanted.partition("-")[0])
        return next((tag for tag in tags if tag in self._languages), FALLBACK_LANGUAGE)

    def render(self, event: str, language: str, context: Mapping[str, Any]) -> Rendered:
        """Render the mail about an event; raise `BadTemplate`."""
        return self._rendered(f"email/{language}/{_STEMS.get(event, event)}", context, self._environment)

    def _rendered(self, stem: str, context: Mapping[str, Any], environment: Environment) -> Rendered:
        subject, text = (self._text(f"{stem}.{part}.j2", context, environment) for part in ("subject", "txt"))
        return Rendered(
            subject=_shorten(one_line(subject), _SUBJECT_LENGTH),
            html=self._inlined(f"{stem}.html.j2", context, environment),
            text=_TOO_MANY_LINES.sub("\n\n", text).strip() + "\n",
        )

    def spoken(self, stem: str, said: Speech, context: Mapping[str, Any]) -> Rendered:
        """Render a mail whose texts come from the catalogues; raise `BadTemplate`."""
        environment = self._spoken.get(said.code)
        if environment is None:
            environment = self._spoken[said.code] = _environment(self._directory)
            install(environment, said)
        return self._rendered(f"email/{stem}", context, environment)

    def plain(self, stem: str, context: Mapping[str, Any]) -> tuple[str, str]:
        """Render a mail that is text alone: its subject and its text; raise `BadTemplate`."""
        subject, text = (
            self._text(f"{stem}.{part}.j2", context, self._environment) for part in ("subject", "txt")
        )
        return _shorten(one_line(subject), _SUBJECT_LENGTH), text.strip() + "\n"

    def _text(self, name: str, context: Mapping[str, Any], environment: Environment) -> str:
        try:
            return environment.get_template(name).render(context)
        except _WRONG as error:
            raise BadTemplate(f"{name}: {type(error).__name__}: {error}") from error

    def _inlined(self, name: str, context: Mapping[str, Any], environment: Environment) -> str:
        html = self._text(name, context, environment)
        try:
            return self._inliner.inline(html).strip() + "\n"
        except css_inline.InlineError as error:
            raise BadTemplate(f"{name}: {error}") from error


def _environment(directory: str) -> Environment:
    loaders: list[BaseLoader] = [FileSystemLoader(OURS)]
    kind: type[Environment] = Environment
    if directory:
        if not Path(directory).is_dir():
            raise ConfigError(f"{PREFIX}TEMPLATES_DIR is not a directory: {directory}")
        loaders.insert(0, FileSystemLoader(directory))
        kind = ImmutableSandboxedEnvironment
    environment = kind(
        loader=ChoiceLoader(loaders),
        autoescape=lambda name: name is None or name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"wrap": wrap, "shorten": _shorten}
    return environment


def wrap(text: str, indent: str = "") -> str:
    """Break a text in lines of 76 characters at most; links and long words stay whole."""
    return textwrap.fill(
        text, _TEXT_WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
