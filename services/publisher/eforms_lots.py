"""Reads the lots (*percelen*) of a notice, and what the whole takes from them.

Rules:
1. A group of lots is not a lot: counting it would count its lots twice. A part (of a prior
   information notice) is a lot to be.
2. The limit of a lot is the first date that shuts out whoever has not reacted: to ask to participate,
   to express interest, or to tender. The limit of the whole is the earliest of its lots'; each lot
   keeps its own.
3. The lots' values are summed only when every lot has one, all in the same currency.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any
from xml.etree.ElementTree import Element

from services.domain.opportunity import Money
from services.publisher import eforms_values as values
from services.publisher.eforms_xml import EXTENSION, NoticeError, find_all, value

KEPT = 100
_DESCRIBED = 2_000
_MOST = 10_000
_PERIODS = (
    "cac:TenderingProcess/cac:TenderSubmissionDeadlinePeriod",  # BT-131
    "cac:TenderingProcess/cac:ParticipationRequestReceptionPeriod",  # BT-1311
    f"cac:TenderingProcess/{EXTENSION}/efac:InterestExpressionReceptionPeriod",  # BT-630
)
_QUESTIONS = "cac:TenderingProcess/cac:AdditionalInformationRequestPeriod"  # BT-13
_END_OF_DAY = "23:59:59"


@dataclass(frozen=True, slots=True)
class Customs:
    """What a notice leaves unsaid within: the language of its texts, the zone of its bare times."""

    language: str | None
    zone: tzinfo | None


def lots_of(root: Element) -> list[Element]:
    """Give the lots and parts, without groups; raises `NoticeError` for more than any notice has.

    Source: eForms numbers lots LOT-0001 to LOT-9999.
    """
    lots = [
        lot
        for lot in find_all(root, "cac:ProcurementProjectLot")
        if all(id_.get("schemeName") != "LotsGroup" for id_ in find_all(lot, "cbc:ID"))
    ]
    if len(lots) > _MOST:
        raise NoticeError(f"The notice has more than {_MOST} lots (cac:ProcurementProjectLot).")
    return lots


def deadline(lot: Element, customs: Customs) -> datetime | None:
    """Give the limit of a lot (rule 2); a date without a time lasts until the end of that day."""
    return values.earliest(_end(lot, period, customs) for period in _PERIODS)


def questions_until(lot: Element, customs: Customs) -> datetime | None:
    """Give BT-13, until when additional information can be asked."""
    return _end(lot, _QUESTIONS, customs)


def texts(project: Element, name: str, customs: Customs, limit: int, *, one_line: bool) -> dict[str, str]:
    """Give a text in every language we know; one without a language is in the notice's own."""
    found: dict[str, str] = {}
    for element in find_all(project, name):
        code = element.get("languageID", "")
        language = values.language(code) if code else customs.language
        text = values.plain(element.text or "", limit, one_line=one_line)
        if language and text:
            found.setdefault(language, text)
    return dict(list(found.items())[:24])


def estimate(place: Element) -> Money | None:
    """Give BT-27, the estimated value of a project or lot."""
    for amount in find_all(
        place, "cac:ProcurementProject/cac:RequestedTenderTotal/cbc:EstimatedOverallContractAmount"
    ):
        return values.money((amount.text or "").strip(), amount.get("currencyID", ""))
    return None


def total(lots: Sequence[Element]) -> Money | None:
    """Sum the lots' estimates (rule 3)."""
    estimates = [found for found in map(estimate, lots) if found]
    if not estimates or len(estimates) < len(lots) or len({each.currency for each in estimates}) > 1:
        return None
    amount = sum(each.amount for each in estimates)
    return values.accepted(values.MONEY, {"amount": amount, "currency": estimates[0].currency})


def amount_of(money: Money | None) -> dict[str, Any] | None:
    """Write an amount as plain JSON."""
    return money.model_dump(mode="json") if money else None


def cpv_of(places: Sequence[Element]) -> list[str]:
    """Give BT-262 and BT-263, main and additional classification, of projects and lots."""
    project = "cac:ProcurementProject"
    return values.all_accepted(
        values.CPV,
        (
            (code.text or "").strip()
            for place in places
            for kind in ("Main", "Additional")
            for code in find_all(
                place, f"{project}/cac:{kind}CommodityClassification/cbc:ItemClassificationCode"
            )
            if code.get("listName", "cpv") == "cpv"
        ),
        limit=100,
    )


def regions_of(places: Sequence[Element]) -> list[str]:
    """Give BT-5071, the NUTS codes where projects and lots are carried out."""
    path = "cac:ProcurementProject/cac:RealizedLocation/cac:Address/cbc:CountrySubentityCode"
    return values.all_accepted(
        values.NUTS,
        (
            (code.text or "").strip()
            for place in places
            for code in find_all(place, path)
            if code.get("listName", "nuts").startswith("nuts")
        ),
        limit=100,
    )


def summaries(lots: Sequence[Element], customs: Customs, known: dict[str, str]) -> list[dict[str, Any]]:
    """Describe the first lots; a description that only repeats the whole's (`known`) is left out."""
    repeated = {language: values.plain(text, _DESCRIBED) for language, text in known.items()}
    return [_summary(lot, customs, repeated) for lot in lots[:KEPT]]


def _summary(lot: Element, customs: Customs, repeated: dict[str, str]) -> dict[str, Any]:
    title = texts(lot, "cac:ProcurementProject/cbc:Name", customs, 400, one_line=True)
    description = texts(lot, "cac:ProcurementProject/cbc:Description", customs, _DESCRIBED, one_line=False)
    return values.without_empty(
        {
            "id": values.plain(value(lot, "cbc:ID"), 100, one_line=True),
            "title": title,
            "description": description if description != repeated else None,
            "cpv": cpv_of([lot]),
            "estimated_value": amount_of(estimate(lot)),
            "deadline": values.iso(deadline(lot, customs)),
        }
    )


def _end(place: Element, period: str, customs: Customs) -> datetime | None:
    day, time = value(place, f"{period}/cbc:EndDate"), value(place, f"{period}/cbc:EndTime")
    return values.moment(day, time, customs.zone, without_time=_END_OF_DAY)
