"""Renders the texts of a mail from templates: ours, or the operator's in their place.

Rules:
1. `email/NAME` is one template for all languages; its texts are translated by the catalogues.
2. A file of the operator's replaces ours of the same name.
3. `email/LANGUAGE/NAME`, ours or the operator's, is what readers of that language get instead of
   `email/NAME`: wherever it is asked for, also to extend or include it.
4. Whoever writes a template is no programmer of this project, so it runs in a sandbox.
"""

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import css_inline
from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

import services
from services.domain.reason import one_line
from services.domain.speech import Speech
from services.runtime.language import SOURCE, install, languages, speech
from services.runtime.settings import PREFIX, ConfigError

OURS = Path(services.__file__).parents[1] / "templates"
_SUBJECT_LENGTH = 150
_TEXT_WIDTH = 76
_TOO_MANY_LINES = re.compile(r"\n{3,}")
_OF_A_LANGUAGE = re.compile(r"email/([a-z]{2}(?:-[A-Z]{2})?)/published\.html\.j2")
_STEMS = {"closed": "notice", "awarded": "notice"}

#: What goes wrong inside a template that somebody wrote.
_WRONG = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)


class BadTemplate(Exception):
    """A template cannot be rendered; an operator must mend it."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The texts of a mail, personal marks still in them."""

    subject: str
    html: str
    text: str


class Templates:
    """The templates of mails, compiled once per language.

    A file in `directory` replaces ours of the same name; raises `ConfigError` when there is no such
    directory.
    """

    def __init__(self, directory: str = "") -> None:
        if directory and not Path(directory).is_dir():
            raise ConfigError(f"{PREFIX}TEMPLATES_DIR is not a directory: {directory}")
        self._loader = ChoiceLoader([FileSystemLoader(path) for path in (directory, OURS) if path])
        found = (_OF_A_LANGUAGE.fullmatch(name) for name in self._loader.list_templates())
        self._languages = {*languages(), *(match[1] for match in found if match)}
        self._environments: dict[str, _Environment] = {}
        self._inliner = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)

    def language(self, wanted: str) -> str:
        """Choose the language to write in: the wanted one if we speak it or it has templates, or English."""
        tags = (wanted, wanted.partition("-")[0])
        return next((tag for tag in tags if tag in self._languages), SOURCE)

    def speech(self, language: str) -> Speech:
        """Give the words of a language chosen by `language`; English where only its templates are known."""
        return speech(language.partition("-")[0])

    def render(self, event: str, language: str, context: Mapping[str, Any]) -> Rendered:
        """Render the mail about an event; raise `BadTemplate`."""
        return self._mail(f"email/{_STEMS.get(event, event)}", language, context)

    def mailing(self, kind: str, language: str, context: Mapping[str, Any]) -> Rendered:
        """Render a digest or a reminder; raise `BadTemplate`."""
        return self._mail(f"email/{kind}", language, context)

    def letter(self, kind: str, language: str, context: Mapping[str, Any]) -> Rendered:
        """Render a letter, which is about no event; raise `BadTemplate`.

        `context` is what its templates show, and `sender`: the name at the foot of every letter.
        """
        return self._mail(f"email/letters/{kind}", language, {"language": language, **context})

    def _mail(self, stem: str, language: str, context: Mapping[str, Any]) -> Rendered:
        subject, text, html = (
            self._text(f"{stem}.{part}.j2", language, context) for part in ("subject", "txt", "html")
        )
        return Rendered(
            subject=_shorten(one_line(subject), _SUBJECT_LENGTH),
            html=self._inlined(f"{stem}.html.j2", html),
            text=_TOO_MANY_LINES.sub("\n\n", text).strip() + "\n",
        )

    def _text(self, name: str, language: str, context: Mapping[str, Any]) -> str:
        environment = self._environment(language)
        found = environment.join_path(name, "")
        try:
            return environment.get_template(found).render(context)
        except _WRONG as error:
            raise BadTemplate(f"{found}: {type(error).__name__}: {error}") from error

    def _inlined(self, name: str, html: str) -> str:
        try:
            return self._inliner.inline(html).strip() + "\n"
        except css_inline.InlineError as error:
            raise BadTemplate(f"{name}: {error}") from error

    def _environment(self, language: str) -> "_Environment":
        if language not in self._environments:
            self._environments[language] = _Environment(self._loader, language, self.speech(language))
        return self._environments[language]


class _Environment(ImmutableSandboxedEnvironment):
    """Compiles templates for readers of one language."""

    def __init__(self, loader: ChoiceLoader, language: str, said: Speech) -> None:
        super().__init__(
            loader=loader,
            autoescape=lambda name: name is None or name.endswith(".html.j2"),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        install(self, said)
        self.filters |= {"wrap": wrap, "shorten": _shorten}
        self._folder = f"email/{language}/"
        self._own = {name for name in self.list_templates() if name.startswith(self._folder)}

    def join_path(self, template: str, parent: str) -> str:
        """Name the language's own template in place of the common one, but within itself."""
        own = self._folder + template.removeprefix("email/")
        return own if own in self._own and own != parent else template


def wrap(text: str, indent: str = "") -> str:
    """Break a text in lines of 76 characters at most; links and long words stay whole."""
    return textwrap.fill(
        text, _TEXT_WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
