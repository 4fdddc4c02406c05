"""The command line: `omroeper`."""

from services.cli.app import main

__all__ = ["main"]
