"""Reads an eForms notice, the form of the European tender database, as an opportunity.

Rules:
1. The id is the procedure's (BT-04), which all notices about it share; else the notice's own (BT-701).
2. Only a title and an id are required; what else is missing or malformed is left out, never invented.
3. A bare time in a notice of a Belgian buyer is Belgian time; in another notice it is left out.

Source: eForms SDK 1.15, fields (BT numbers), and Implementing Regulation (EU) 2019/1780, annex.
"""

from collections.abc import Iterable
from typing import Any
from xml.etree.ElementTree import Element
from zoneinfo import ZoneInfo

from services.publisher import eforms_lots as lots
from services.publisher import eforms_values as values
from services.publisher.eforms_lots import Customs
from services.publisher.eforms_parties import Buyer, buyer_of
from services.publisher.eforms_xml import EXTENSION, NoticeError, find_all, parse, root_name, value

__all__ = ["NoticeError", "read_notice"]

_BELGIUM = ZoneInfo("Europe/Brussels")
_NATURES = ("works", "supplies", "services")
_DOCUMENTS = "cac:TenderingTerms/cac:CallForTendersDocumentReference"
_FILE = "cac:Attachment/cac:ExternalReference"


def read_notice(raw: bytes) -> dict[str, Any]:
    """Read a notice's bytes; give a dict that `parse_opportunity` accepts, with plain JSON values.

    Beside the opportunity's fields it has `languages` (to submit in, BT-97), `lots` (at most 100, and
    `lots_total` when there are more), `notice_id`, `notice_type` (its code, such as
    `cn-standard`, else the kind of document) and `changed_notice_id` (BT-758).
    Raises `NoticeError` for what is not a notice, or lacks an id or a title.
    """
    root = parse(raw)
    buyer = buyer_of(root)
    places = lots.lots_of(root)
    customs = Customs(
        values.language(value(root, "cbc:NoticeLanguageCode")), _zone(buyer, [root, *places[:1]])
    )
    fields = {
        **_identity(root),
        **_texts(root, customs),
        **_buyer(buyer),
        **_subject(root, places),
        **_times(root, places, customs),
        **_links(root, places),
        "languages": _languages(places),
    }
    return values.without_empty({**fields, **_lots(places, customs, fields.get("description", {}))})


def _identity(root: Element) -> dict[str, Any]:
    notice_id = values.accepted(values.IDENTIFIER, value(root, "cbc:ID"))
    identifier = values.accepted(values.IDENTIFIER, value(root, "cbc:ContractFolderID")) or notice_id
    if identifier is None:
        raise NoticeError(
            "BT-701 Notice Identifier is missing: cbc:ID, or BT-04 Procedure Identifier in "
            "cbc:ContractFolderID, must hold up to 200 printable characters without spaces."
        )
    changed = value(root, f"{EXTENSION}/efac:Changes/efbc:ChangedNoticeIdentifier")
    return {
        "id": identifier,
        "version": _version(value(root, "cbc:VersionID")),
        "notice_id": notice_id,
        "notice_type": values.accepted(values.TAG, value(root, "cbc:NoticeTypeCode")) or root_name(root),
        "changed_notice_id": values.accepted(values.IDENTIFIER, changed),
    }


def _version(text: str) -> int | None:
    """Read BT-757: "01" is 1."""
    return int(text) or None if text.isascii() and text.isdigit() and len(text) < 6 else None


def _texts(root: Element, customs: Customs) -> dict[str, Any]:
    title = lots.texts(root, "cac:ProcurementProject/cbc:Name", customs, 400, one_line=True)
    if not title:
        raise NoticeError(
            "BT-21 Title is missing: cac:ProcurementProject/cbc:Name must hold the title in at least one "
            "language that we know (attribute languageID, such as NLD)."
        )
    description = lots.texts(root, "cac:ProcurementProject/cbc:Description", customs, 50_000, one_line=False)
    return {"title": title, "description": description}


def _buyer(buyer: Buyer) -> dict[str, Any]:
    named = {"name": buyer.name, "url": buyer.url, "kbo": buyer.kbo}
    return {
        "buyer": values.without_empty(named) if buyer.name else None,
        "contact": values.without_empty({"name": buyer.contact_name, "email": buyer.contact_email}),
    }


def _subject(root: Element, places: list[Element]) -> dict[str, Any]:
    nature = value(root, "cac:ProcurementProject/cbc:ProcurementTypeCode")
    procedure = value(root, "cac:TenderingProcess/cbc:ProcedureCode")
    return {
        "cpv": lots.cpv_of([root, *places]),
        "regions": lots.regions_of([root, *places]),
        "nature": nature if nature in _NATURES else None,
        "procedure": values.accepted(values.TAG, procedure),
        "estimated_value": lots.amount_of(lots.estimate(root) or lots.total(places)),
    }


def _times(root: Element, places: list[Element], customs: Customs) -> dict[str, Any]:
    issued = value(root, "cbc:IssueDate"), value(root, "cbc:IssueTime")
    limits = values.earliest(lots.deadline(lot, customs) for lot in places)
    questions = values.earliest(lots.questions_until(lot, customs) for lot in places)
    return {
        "published_at": values.iso(values.moment(*issued, customs.zone, without_time="00:00:00")),
        "deadline": values.iso(limits or lots.deadline(root, customs)),
        "questions_until": values.iso(questions or lots.questions_until(root, customs)),
    }


def _links(root: Element, places: list[Element]) -> dict[str, Any]:
    documents = _documents([root, *places])
    profile = value(root, "cac:ContractingParty/cbc:BuyerProfileURI")
    url = documents[0]["url"] if documents else values.accepted(values.HTTPS, profile)
    return {"url": url, "documents": documents}


def _documents(places: Iterable[Element]) -> list[dict[str, Any]]:
    """Give BT-15 and then BT-615: documents open to all come before the restricted ones."""
    references = [reference for place in places for reference in find_all(place, _DOCUMENTS)]
    references.sort(key=lambda reference: value(reference, "cbc:DocumentType") == "restricted-document")
    kept: dict[str, dict[str, Any]] = {}
    for reference in references:
        url = values.accepted(values.HTTPS, value(reference, f"{_FILE}/cbc:URI"))
        if url:
            kept.setdefault(url, values.without_empty({"title": _document_title(reference), "url": url}))
    return list(kept.values())[:100]


def _document_title(reference: Element) -> str:
    """Name a document; its bare id, often a UUID, would tell a reader nothing."""
    named = value(reference, f"{_FILE}/cbc:FileName") or value(reference, "cbc:DocumentDescription")
    return values.plain(named, 400, one_line=True)


def _languages(places: list[Element]) -> list[str]:
    codes = (
        code.text or "" for lot in places for code in find_all(lot, "cac:TenderingTerms/cac:Language/cbc:ID")
    )
    return list(dict.fromkeys(known for known in map(values.language, codes) if known))


def _lots(places: list[Element], customs: Customs, known: dict[str, str]) -> dict[str, Any]:
    kept = lots.summaries(places, customs, known)
    return {"lots": kept, "lots_total": len(places) if len(places) > lots.KEPT else None}


def _zone(buyer: Buyer, places: list[Element]) -> ZoneInfo | None:
    """Tell the zone of bare times: a buyer without a country is placed by where the work is done."""
    regions = lots.regions_of(places)
    belgian = buyer.country == "BEL" if buyer.country else bool(regions) and regions[0].startswith("BE")
    return _BELGIUM if belgian else None
