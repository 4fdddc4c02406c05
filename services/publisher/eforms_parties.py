"""Finds the buyer among the organisations of a notice."""

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from services.publisher import eforms_values as values
from services.publisher.eforms_xml import EXTENSION, find, find_all, value

_COUNTRY = "cac:PostalAddress/cac:Country/cbc:IdentificationCode"
_PARTY_ID = "cac:PartyIdentification/cbc:ID"


@dataclass(frozen=True, slots=True)
class Buyer:
    """The contracting authority as a notice names it; what it does not say is empty or None."""

    name: str = ""
    url: str | None = None
    kbo: str | None = None
    country: str = ""
    contact_name: str = ""
    contact_email: str | None = None


def buyer_of(root: Element) -> Buyer:
    """Give the buyer: of several, the one that leads the group, else the first.

    A buyer named by its contact point (TPO-…) keeps the enterprise number of the whole organisation.
    Source: eForms OPT-300 (reference), BT-500 to BT-506, BT-514 and OPP-050 (leads the group).
    """
    organisations = _by_reference(root)
    found = [
        organisations[reference]
        for party in find_all(root, "cac:ContractingParty/cac:Party")
        if (reference := value(party, _PARTY_ID)) in organisations
    ]
    leading = [pair for pair in found if value(pair[0], "efbc:GroupLeadIndicator") == "true"]
    pairs = leading or found
    return _described(root, *pairs[0]) if pairs else Buyer()


def _by_reference(root: Element) -> dict[str, tuple[Element, Element]]:
    """Index what a buyer can refer to: organisation and the part of it that is meant."""
    index: dict[str, tuple[Element, Element]] = {}
    for organisation in find_all(root, f"{EXTENSION}/efac:Organizations/efac:Organization"):
        for part in (*find_all(organisation, "efac:Company"), *find_all(organisation, "efac:TouchPoint")):
            if reference := value(part, _PARTY_ID):
                index.setdefault(reference, (organisation, part))
    return index


def _described(root: Element, organisation: Element, part: Element) -> Buyer:
    company = find(organisation, "efac:Company")
    country = value(part, _COUNTRY) or value(company, _COUNTRY)
    numbers = find_all(company, "cac:PartyLegalEntity/cbc:CompanyID") if company is not None else []
    kbos = (values.kbo(number.text or "", country) for number in numbers)
    return Buyer(
        name=_name(part, value(root, "cbc:NoticeLanguageCode")) or _name(company, ""),
        url=values.accepted(values.HTTPS, value(part, "cbc:WebsiteURI")),
        kbo=next((number for number in kbos if number), None),
        country=country,
        contact_name=values.plain(value(part, "cac:Contact/cbc:Name"), 400, one_line=True),
        contact_email=values.accepted(values.EMAIL, value(part, "cac:Contact/cbc:ElectronicMail")),
    )


def _name(part: Element | None, notice_language: str) -> str:
    """Choose the name in Dutch, else in the notice's own language, in English, or any."""
    names: dict[str, str] = {}
    for element in find_all(part, "cac:PartyName/cbc:Name") if part is not None else []:
        text = values.plain(element.text or "", 400, one_line=True)
        if text:
            names.setdefault(element.get("languageID", ""), text)
    wanted = ("NLD", notice_language, "ENG")
    return next((names[code] for code in wanted if code in names), next(iter(names.values()), ""))
