"""Writes the documents that are generated from the code; `--check` only compares."""

import sys
from dataclasses import fields
from pathlib import Path

from services.domain.delivery import FINAL, TRANSITIONS, State
from services.runtime.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]


def settings_table() -> str:
    """Write docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Read from the environment, once, at the start. For every one, `…_FILE` may name a file that holds",
        "the value; a bad value stops the start with a sentence that says so. This page is generated from",
        "`services/runtime/settings.py`.",
        "",
        "| variable | default | what it is |",
        "|---|---|---|",
    ]
    for item in fields(Settings):
        default = f"`{item.default}`" if item.default not in ("", None) else ""
        secret = " (secret)" if item.metadata["secret"] else ""
        lines.append(f"| `{PREFIX}{item.name.upper()}` | {default} | {item.metadata['doc']}{secret} |")
    return "\n".join(lines) + "\n"


def env_example() -> str:
    """Write .env.example."""
    lines = ["# Settings of Omroeper; docs/settings.md says more. Uncomment what you change.", ""]
    for item in fields(Settings):
        lines += [f"# {item.metadata['doc']}", f"#{PREFIX}{item.name.upper()}={item.default}"]
    return "\n".join(lines) + "\n"


def states_page() -> str:
    """Write docs/delivery-states.md."""
    lines = [
        "# The states of a delivery",
        "",
        "Generated from `TRANSITIONS` in `services/domain/delivery.py`, the only place where a change of",
        "state is legal. The database refuses to change a final state.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {State.PENDING}",
    ]
    for before, afters in TRANSITIONS.items():
        lines += [f"    {before} --> {after}" for after in sorted(afters)]
    lines += [f"    {final} --> [*]" for final in sorted(FINAL)]
    return "\n".join([*lines, "```"]) + "\n"


DOCUMENTS = {
    "docs/settings.md": settings_table,
    ".env.example": env_example,
    "docs/delivery-states.md": states_page,
}


def main() -> int:
    """Write the documents, or compare them; return the exit code."""
    stale = [name for name, write in DOCUMENTS.items() if _is_stale(ROOT / name, write())]
    if "--check" in sys.argv:
        print("\n".join(f"stale: {name}; run make docs" for name in stale))
        return 1 if stale else 0
    for name, write in DOCUMENTS.items():
        (ROOT / name).write_text(write(), "utf-8")
    return 0


def _is_stale(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text("utf-8") != text


if __name__ == "__main__":
    sys.exit(main())
