"""Puts the commands together."""

import typer

from services.cli import admin, ledger, publish, serve, subscriber, up
from services.cli.doctor import doctor

app = typer.Typer(
    name="omroeper",
    help="Tells every incubator and accelerator of every public-sector opportunity, and can prove it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("publish")(publish.publish)
app.add_typer(subscriber.subscribers, name="subscribers")
app.add_typer(ledger.events, name="events")
app.add_typer(ledger.deliveries, name="deliveries")
app.command("replay")(ledger.replay)
app.add_typer(admin.deadletters, name="deadletters")
app.add_typer(serve.serve_app, name="serve")
app.command("migrate")(admin.migrate)
app.command("doctor")(doctor)
app.add_typer(admin.apikey, name="apikey")


def main() -> None:
    """Run the command line: exit 0 done, 1 failed, 2 wrong usage."""
    app()
