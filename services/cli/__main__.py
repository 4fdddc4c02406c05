"""`python -m services.cli` is `omroeper`."""

from services.cli.app import main

main()
