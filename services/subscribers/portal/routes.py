"""Every page of the portal in one list: for whoever looks at all of them, in tests and out of them."""

from dataclasses import dataclass
from typing import Literal

Needs = Literal["nobody", "session", "link"]


@dataclass(frozen=True, slots=True)
class Page:
    """A page that can be opened by GET.

    `path` has places such as `{subscription}`, `{webhook}` (a subscription of that channel), `{delivery}`,
    `{person}`, `{probe}`, and `{token}` of a link. `needs`: nobody signed in, a session, or a link.
    """

    name: str
    path: str
    needs: Needs = "session"


PAGES = (
    Page("sign_in", "/portal/sign-in", "nobody"),
    Page("sign_in_link", "/portal/sign-in/{token}", "link"),
    Page("left", "/portal/left", "nobody"),
    Page("choose", "/portal/choose"),
    Page("overview", "/portal"),
    Page("delivery", "/portal/deliveries/{delivery}"),
    Page("subscriptions", "/portal/subscriptions"),
    Page("new", "/portal/subscriptions/new"),
    Page("new_email", "/portal/subscriptions/new/email"),
    Page("new_webhook", "/portal/subscriptions/new/webhook"),
    Page("subscription", "/portal/subscriptions/{subscription}"),
    Page("stop", "/portal/subscriptions/{subscription}/stop"),
    Page("filter", "/portal/subscriptions/{subscription}/filter"),
    Page("webhook", "/portal/subscriptions/{webhook}/webhook"),
    Page("secret", "/portal/subscriptions/{webhook}/secret"),
    Page("test", "/portal/subscriptions/{webhook}/tests/{probe}"),
    Page("feeds", "/portal/feeds"),
    Page("feeds_new", "/portal/feeds/new-address"),
    Page("people", "/portal/people"),
    Page("person_remove", "/portal/people/{person}/remove"),
    Page("settings", "/portal/settings"),
    Page("leave", "/portal/leave"),
    Page("missing", "/portal/nowhere", "nobody"),
    Page("preferences", "/u/{token}/preferences", "link"),
    Page("unsubscribe", "/u/{token}", "link"),
)
