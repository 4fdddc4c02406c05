"""Settings: read once from the environment, checked, frozen, passed down.

Every setting `name` is the variable `OMROEPER_NAME`, or `OMROEPER_NAME_FILE` with the path of a file
that holds it. The table in docs/settings.md is generated from this file.
"""

import hashlib
import hmac
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.domain.breaker import BreakerPolicy
from services.domain.retry import EMAIL_SCHEDULE, WEBHOOK_SCHEDULE, RetryPolicy

PREFIX = "OMROEPER_"


class ConfigError(Exception):
    """The settings cannot be worked with; says which, and what to do."""


def _setting(default: Any, doc: str, *, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"doc": doc, "secret": secret})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one process needs to know."""

    database_url: str = _setting("", "PostgreSQL, as `postgresql://user:password@host/name`", secret=True)
    kafka_bootstrap_servers: str = _setting("", "Kafka brokers, `host:port`, comma-separated")
    events_topic: str = _setting("opportunities", "Kafka topic that carries the events")
    status_topic: str = _setting("delivery-status", "Kafka topic that tells of every recorded attempt")
    consumer_group: str = _setting("omroeper-planner", "Kafka consumer group of the planners")
    smtp_url: str = _setting(
        "", "Mail relay: `smtp://user:password@host:25`, `smtps://` for TLS", secret=True
    )
    smtp_connections: int = _setting(8, "Connections to the mail relay at most, per dispatcher")
    mail_from: str = _setting("Omroeper <omroeper@opdrachten.example>", "Sender of the mails")
    bounce_domain: str = _setting("", "Domain of the envelope senders; default: that of MAIL_FROM")
    dkim_selector: str = _setting("", "DKIM selector; empty: the relay signs, or nobody does")
    dkim_domain: str = _setting("", "DKIM domain; default: that of MAIL_FROM")
    dkim_key: str = _setting("", "DKIM private key, PEM (RSA) or base64 (ed25519)", secret=True)
    public_url: str = _setting("http://127.0.0.1:8080", "Where people reach the pages, for links in mails")
    event_source: str = _setting(
        "https://marketplace.example/opdrachten", "CloudEvents source of bare opportunities"
    )
    api_key: str = _setting("", "A key that may do everything, to begin with", secret=True)
    secret_key: str = _setting(
        "", "Encrypts secrets in the database; several, newest first, comma-separated", secret=True
    )
    webhook_allow_networks: str = _setting("", "CIDRs exempt from the address guard, comma-separated")
    webhook_schedule: str = _setting(WEBHOOK_SCHEDULE, "Waits between tries of a webhook")
    webhook_timeout_seconds: float = _setting(20.0, "A webhook's time limit, from connecting to the answer")
    webhook_slots: int = _setting(200, "Webhooks in flight at most, per dispatcher")
    email_schedule: str = _setting(EMAIL_SCHEDULE, "Waits between tries of an email")
    email_timeout_seconds: float = _setting(60.0, "A mail's time limit, per command to the relay")
    destination_slots: int = _setting(32, "Deliveries in flight at most to one web host or mail domain")
    lease_seconds: float = _setting(60.0, "How long a dispatcher borrows a delivery before it must renew")
    relay_again_seconds: float = _setting(60.0, "An event not planned by then is handed to Kafka again")
    breaker_failures: int = _setting(10, "Failures in a row that open an endpoint's circuit breaker")
    breaker_open_seconds: float = _setting(30.0, "How long it stays open at first; doubles up to an hour")
    disable_after_hours: float = _setting(120.0, "An endpoint is disabled after failing for so long …")
    disable_failures: int = _setting(50, "… and so many times")
    body_limit_bytes: int = _setting(1_000_000, "Largest request body accepted")
    batch_limit: int = _setting(1_000, "Events in a batch at most")
    templates_dir: str = _setting("", "Templates that replace ours, file by file")
    publisher_url: str = _setting("", "Where the command line publishes, when nothing is `up` in DATA_DIR")
    data_dir: str = _setting("data", "Where `omroeper up` keeps its database and mails")
    host: str = _setting("127.0.0.1", "Address to listen on")
    port: int = _setting(8080, "Port to listen on")
    pool_size: int = _setting(10, "Database connections at most, per process")
    lmtp_listen: str = _setting(
        "", "LMTP address that takes bounces in, such as `127.0.0.1:2424`; empty: none"
    )
    log_format: str = _setting("text", "`text` or `json`")
    log_level: str = _setting("INFO", "`DEBUG`, `INFO`, `WARNING` or `ERROR`")

    def __post_init__(self) -> None:
        for name in ("webhook_schedule", "email_schedule"):
            _checked(name, RetryPolicy.parse, getattr(self, name))
        _checked("webhook_allow_networks", _networks, self.webhook_allow_networks)
        _checked("lmtp_listen", _host_and_port, self.lmtp_listen)
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, int | float) and value <= 0:
                raise ConfigError(f"{PREFIX}{item.name.upper()} must be above zero")
        if urlsplit(self.public_url).scheme not in ("http", "https"):
            raise ConfigError(f"{PREFIX}PUBLIC_URL must begin with https:// (or http:// to try out)")

    @property
    def allowed_networks(self) -> "tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]":
        """The networks exempt from the address guard."""
        return _networks(self.webhook_allow_networks)

    @property
    def lmtp_address(self) -> tuple[str, int] | None:
        """Where to take in bounces by LMTP: host and port; None: nowhere."""
        return _host_and_port(self.lmtp_listen)

    @property
    def breaker_policy(self) -> BreakerPolicy:
        """When an endpoint's circuit breaker opens, and when the endpoint is given up."""
        return BreakerPolicy(
            failures=self.breaker_failures,
            open_for=timedelta(seconds=self.breaker_open_seconds),
            disable_after=timedelta(hours=self.disable_after_hours),
            disable_failures=self.disable_failures,
        )

    @property
    def encryption_keys(self) -> tuple[bytes, ...]:
        """The 32-byte keys derived from SECRET_KEY, newest first; at least one."""
        words = [word.strip() for word in self.secret_key.split(",") if word.strip()]
        if not words or any(len(word) < 8 for word in words):
            raise ConfigError(
                f"{PREFIX}SECRET_KEY must be set, 8 characters or more; make one with `openssl rand -hex 32`"
            )
        return tuple(hashlib.sha256(word.encode()).digest() for word in words)

    def signing_keys(self, purpose: str) -> tuple[bytes, ...]:
        """The keys to sign links of one purpose with, newest first; others cannot be computed from them."""
        return tuple(hmac.digest(key, purpose.encode(), "sha256") for key in self.encryption_keys)

    def need(self, *names: str) -> None:
        """Raise `ConfigError` naming the first of these settings that is empty."""
        for name in names:
            if not getattr(self, name):
                doc = next(f.metadata["doc"] for f in fields(self) if f.name == name)
                raise ConfigError(f"{PREFIX}{name.upper()} is not set ({doc})")


def read_settings(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings; raise `ConfigError` for a bad or unknown one. Overrides win over the environment."""
    given = dict(os.environ if environ is None else environ)
    values: dict[str, Any] = {}
    for item in fields(Settings):
        text = _given(given, PREFIX + item.name.upper())
        if text is not None:
            values[item.name] = _checked(item.name, type(item.default), text)
    return Settings(**{**values, **{k: v for k, v in overrides.items() if v is not None}})


def _given(environ: Mapping[str, str], name: str) -> str | None:
    if path := environ.get(name + "_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError(f"{name}_FILE cannot be read: {error.strerror} ({path})") from None
    return environ.get(name) or None


def _checked(name: str, read: Any, text: str) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise ConfigError(f"{PREFIX}{name.upper()}: {error}") from None


def _networks(text: str) -> "tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]":
    return tuple(ipaddress.ip_network(word.strip()) for word in text.split(",") if word.strip())


def _host_and_port(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError("must be like 127.0.0.1:2424")
    return host.removeprefix("[").removesuffix("]"), int(port)
