"""The bytes of a mail: headers, and bodies in quoted-printable with places left open.

Rules:
1. A header is refused when it holds a line break or anything but ASCII; texts go in encoded words.
2. A body is encoded in pieces joined by soft line breaks, so that filling a place later needs no
   re-encoding, and cannot change what stands beside it.
3. Every byte is ASCII, every line ends in CRLF, no body line is longer than 76 characters.

Source: RFC 5322 section 2, RFC 2045 section 6.7, RFC 2047 section 5.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from email.utils import quote

from services.dispatcher.mail.slots import Slot

CRLF = b"\r\n"
_SOFT_BREAK = b"=\r\n"
_LINE = re.compile(r"[\x20-\x7e]{0,900}")
_FOLD_AT = 76
_BODY_LINE = 76
_WORD_BYTES = 36
_LINE_END = re.compile(r"[ \t]*(?:\r\n|\r|\n)")

Chunk = bytes | tuple[str, Slot]


def header(name: str, value: str) -> bytes:
    """Write a header that goes as it is, on one line; raise ValueError for what cannot."""
    if not _LINE.fullmatch(value):
        raise ValueError(f"{name} must be one line of ASCII")
    return f"{name}: {value}\r\n".encode("ascii")


def text_header(name: str, text: str) -> bytes:
    """Write a header that is free text, folded; in encoded words unless it is plain ASCII."""
    plain = _LINE.fullmatch(text) and "=?" not in text
    words = text.split(" ") if plain else _encoded_words(text)
    lines, line = [], f"{name}:"
    for word in words:
        if len(line) + 1 + len(word) > _FOLD_AT and line.strip() != f"{name}:":
            lines.append(line)
            line = ""
        line = f"{line} {word}"
    return "\r\n".join([*lines, line]).encode("ascii") + CRLF


def phrase(text: str) -> str:
    """Write a name as it stands in a header before an address: in quotes, or in encoded words."""
    plain = _LINE.fullmatch(text) and "=?" not in text
    return f'"{quote(text)}"' if plain else " ".join(_encoded_words(text))


def quoted_printable(text: str) -> bytes:
    """Encode a piece of a body; one that does not end a line ends in a soft line break."""
    raw = _LINE_END.sub("\r\n", text).encode("utf-8", "replace")
    if raw.endswith(CRLF):
        return binascii.b2a_qp(raw, istext=True)
    # b2a_qp breaks lines as it sees the text do, so it has to see one
    whole = binascii.b2a_qp(raw + CRLF, istext=True).removesuffix(CRLF)
    start = whole.rfind(CRLF) + 2 if CRLF in whole else 0
    if len(whole) - start < _BODY_LINE:
        return whole + _SOFT_BREAK
    cut = len(whole) - 3
    while b"=" in whole[cut - 2 : cut]:
        cut -= 1
    return whole[:cut] + _SOFT_BREAK + whole[cut:] + _SOFT_BREAK


def chunks(kind: str, pieces: Iterable[str | Slot]) -> list[Chunk]:
    """Encode the fixed pieces of a body; a slot stays open, marked with the kind of body it is in."""
    return [(kind, piece) if isinstance(piece, Slot) else quoted_printable(piece) for piece in pieces]


def _encoded_words(text: str) -> list[str]:
    """Spell a text in RFC 2047 words of 62 characters at most, never splitting a character."""
    parts, part = [], b""
    for character in text:
        raw = character.encode("utf-8", "replace")
        if len(part) + len(raw) > _WORD_BYTES:
            parts.append(part)
            part = b""
        part += raw
    return [f"=?utf-8?b?{base64.b64encode(each).decode()}?=" for each in [*parts, part]]
