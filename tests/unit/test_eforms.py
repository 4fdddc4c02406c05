"""Reading eForms notices: ours, the official samples, and what an enemy would send."""

import csv
import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.matching import parse_filter
from services.domain.opportunity import parse_opportunity
from services.publisher.eforms import NoticeError, read_notice
from services.publisher.eforms_values import kbo, language, moment, plain

EXAMPLES = Path(__file__).parents[2] / "examples"
OURS = sorted((EXAMPLES / "opportunities").glob("*.xml"))
SAMPLES = Path(__file__).parents[3] / "shared/data/eforms"
official = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the official samples are not beside the project")
SENSORS = (EXAMPLES / "opportunities/slimme-sensoren-riolering.xml").read_text(encoding="utf-8")


def read(xml: str) -> dict[str, Any]:
    """Read a notice and check what every reading must hold."""
    notice = read_notice(xml.encode())
    parse_opportunity(json.loads(json.dumps(notice)))
    return notice


def read_or_refuse(raw: bytes) -> dict[str, Any] | NoticeError:
    """Give what is read, checked, or the refusal; let any other exception through."""
    try:
        notice = read_notice(raw)
    except NoticeError as refusal:
        return refusal
    as_json = parse_opportunity(json.loads(json.dumps(notice))).as_json()
    assert json.dumps(as_json, ensure_ascii=False).encode()
    return notice


def changed(*pairs: tuple[str, str], notice: str = SENSORS) -> str:
    for old, new in pairs:
        assert old in notice, f"the example no longer holds {old!r}"
        notice = notice.replace(old, new)
    return notice


def without(start: str, end: str, notice: str = SENSORS) -> str:
    """Cut the first stretch from `start` to `end`, both included."""
    before, _, rest = notice.partition(start)
    assert rest, f"the example no longer holds {start!r}"
    return before + rest.partition(end)[2]


def with_lots(*lots: str) -> str:
    """Give the example these lots instead of its own, and no value for the whole."""
    head = SENSORS.partition("  <cac:ProcurementProjectLot>")[0]
    value = head.index("<cac:RequestedTenderTotal>"), head.index("</cac:RequestedTenderTotal>")
    bare = head[: value[0]] + head[value[1] + len("</cac:RequestedTenderTotal>") :]
    return bare + "".join(lots) + "</ContractNotice>"


def lot(number: int, *, value: str = "", deadline: str = "", scheme: str = "Lot") -> str:
    return f"""<cac:ProcurementProjectLot><cbc:ID schemeName="{scheme}">LOT-{number:04d}</cbc:ID>
      <cac:TenderingProcess>{deadline}</cac:TenderingProcess>
      <cac:ProcurementProject><cbc:Name languageID="NLD">Perceel {number}</cbc:Name>{value}
      </cac:ProcurementProject></cac:ProcurementProjectLot>"""


def euro(amount: str, currency: str = "EUR") -> str:
    return (
        f'<cac:RequestedTenderTotal><cbc:EstimatedOverallContractAmount currencyID="{currency}">{amount}'
        "</cbc:EstimatedOverallContractAmount></cac:RequestedTenderTotal>"
    )


def until(day: str, period: str = "TenderSubmissionDeadlinePeriod") -> str:
    return (
        f"<cac:{period}><cbc:EndDate>{day}+01:00</cbc:EndDate><cbc:EndTime>12:00:00+01:00</cbc:EndTime>"
        f"</cac:{period}>"
    )


def test_every_field_of_a_notice_is_read() -> None:
    notice = read_notice((EXAMPLES / "opportunities/ai-wachttijden-spoed.xml").read_bytes())
    title = {
        "nl": "AI die wachttijden op de spoedafdeling voorspelt",
        "en": "AI that predicts waiting times in the emergency department",
    }
    document = "https://www.az-sint-amelberga.example/aanbestedingen/azsa-2026-114/selectieleidraad.pdf"
    description = notice.pop("description")
    assert description["nl"].startswith("Patiënten op onze spoedafdeling weten vandaag niet")
    assert description["nl"].count("\n\n") == 1
    assert description["en"].endswith("negotiate their tenders.")
    assert notice == {
        "id": "f1260ebc-7d56-4b56-b714-dc919b27dbdf",
        "version": 1,
        "notice_id": "e0a3a91f-2346-4c13-bc27-ed12b10877a9",
        "notice_type": "cn-standard",
        "title": title,
        "buyer": {
            "name": "AZ Sint-Amelberga",
            "url": "https://www.az-sint-amelberga.example/",
            "kbo": "0200922335",
        },
        "contact": {
            "name": "Dienst Overheidsopdrachten",
            "email": "overheidsopdrachten@az-sint-amelberga.example",
        },
        "cpv": ["48180000", "72212180", "72316000"],
        "regions": ["BE236"],
        "nature": "services",
        "procedure": "neg-w-call",
        "estimated_value": {"amount": 139000, "currency": "EUR"},
        "published_at": "2026-11-18T14:05:00+01:00",
        "deadline": "2028-03-01T11:00:00+01:00",
        "questions_until": "2028-02-11T12:00:00+01:00",
        "url": document,
        "documents": [{"title": "Selectieleidraad AZSA-2026-114", "url": document}],
        "languages": ["nl", "en"],
        "lots": [
            {
                "id": "LOT-0001",
                "title": title,
                "cpv": ["48180000", "72212180", "72316000"],
                "estimated_value": {"amount": 139000, "currency": "EUR"},
                "deadline": "2028-03-01T11:00:00+01:00",
            }
        ],
    }


def test_lots_give_their_sum_and_their_earliest_deadline() -> None:
    notice = read_notice((EXAMPLES / "opportunities/drone-inspectie-kades.xml").read_bytes())
    assert notice["estimated_value"] == {"amount": 135000, "currency": "EUR"}
    assert notice["deadline"] == "2028-04-14T14:00:00+02:00"
    assert [each["deadline"] for each in notice["lots"]] == [
        "2028-04-28T14:00:00+02:00",
        "2028-04-14T14:00:00+02:00",
    ]
    assert notice["cpv"] == ["71631400", "34711200", "72212500", "72316000"]
    assert [each["title"] for each in notice["documents"]] == [
        "Bestek HSM-2026-007",
        "Veiligheidsregels op de kade",
    ]


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_the_example_notices_are_whole_opportunities(path: Path) -> None:
    opportunity = parse_opportunity(read_notice(path.read_bytes()))
    assert opportunity.buyer is not None
    assert kbo(opportunity.buyer.kbo or "", "BEL")
    assert opportunity.buyer.url
    assert opportunity.estimated_value is not None
    assert 30_000 <= opportunity.estimated_value.amount <= 140_000
    assert opportunity.published_at is not None
    assert opportunity.questions_until is not None
    assert opportunity.deadline is not None
    assert opportunity.published_at < opportunity.questions_until < opportunity.deadline
    assert opportunity.deadline > datetime(2027, 6, 1, tzinfo=UTC)
    assert opportunity.regions[0].startswith("BE2")
    assert opportunity.documents
    assert set(opportunity.title) >= {"nl"}


def test_there_are_five_example_notices_and_two_plain_opportunities() -> None:
    plain_files = sorted((EXAMPLES / "opportunities").glob("*.json"))
    assert (len(OURS), len(plain_files)) == (5, 2)
    for path in plain_files:
        opportunity = parse_opportunity(json.loads(path.read_text(encoding="utf-8")))
        assert all((opportunity.summary, opportunity.themes, opportunity.deadline))
        assert opportunity.audience == ("start-up", "scale-up")
        assert opportunity.buyer is not None
        assert kbo(opportunity.buyer.kbo or "", "BEL")


def test_the_example_subscribers_are_complete_and_fictional_in_address() -> None:
    with (EXAMPLES / "subscribers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len({row["slug"] for row in rows}) == 45
    assert sum(row["channel"] == "webhook" for row in rows) == 12
    for row in rows:
        host = f"incubator-{row['slug']}.example"
        hook = f"https://hooks.{host}/omroeper"
        assert row["kind"] in ("incubator", "accelerator", "network", "other")
        assert row["contact"].endswith(f"@{host}")
        assert row["target"] == (hook if row["channel"] == "webhook" else row["contact"])
        parse_filter(json.loads(row["filter"] or "{}"), row["slug"])


@official
def test_the_minimal_official_sample_is_read() -> None:
    notice = read_notice((SAMPLES / "cn_24_minimal.xml").read_bytes())
    parse_opportunity(notice)
    assert notice["id"] == "4805c409-5939-4be9-8abd-837f7a5fee23"
    assert notice["notice_id"] == "f42be27e-09cf-4f0e-a745-63ec689631e6"
    assert list(notice["title"]) == ["en"]
    assert notice["buyer"] == {"name": "Publications Office of the European Union"}
    assert notice["contact"] == {"email": "op-appels-offres@publications.europa.eu"}
    assert (notice["cpv"], notice["regions"]) == (["72230000"], ["FRD22"])
    assert notice["published_at"] == "2019-11-21T00:00:00+01:00"
    assert notice["deadline"] == "2020-02-04T10:00:00+02:00"
    assert notice["url"] == "https://etendering.ted.europa.eu/cft/cft-display.html?cftId=5629"
    assert "estimated_value" not in notice


@official
def test_the_multilingual_official_sample_is_read_in_all_languages() -> None:
    notice = read_notice((SAMPLES / "cn_24_multilingual.xml").read_bytes())
    parse_opportunity(notice)
    languages = "bg cs da de el en es et fi fr ga hr hu it lt lv mt nl pl pt ro sk sl sv"
    assert sorted(notice["title"]) == sorted(notice["description"]) == sorted(notice["languages"])
    assert " ".join(sorted(notice["title"])) == languages
    assert notice["buyer"]["name"] == "Bureau voor publicaties van de Europese Unie"
    assert notice["estimated_value"] == {"amount": 4_500_000, "currency": "EUR"}
    assert notice["deadline"] == "2020-02-03T13:00:00+00:00"


@official
def test_the_open_official_sample_is_read_without_its_http_links() -> None:
    notice = read_notice((SAMPLES / "cn_24_open.xml").read_bytes())
    parse_opportunity(notice)
    assert notice["buyer"] == {"name": "Renfrewshire Council"}
    assert notice["cpv"] == ["71630000", "71314100", "50300000", "31600000"]
    assert notice["estimated_value"] == {"amount": 500_000, "currency": "EUR"}
    assert notice["deadline"] == "2020-04-03T12:00:00+01:00"
    assert "regions" not in notice


@official
def test_the_french_official_sample_takes_the_limit_for_requests_to_participate() -> None:
    notice = read_notice((SAMPLES / "cn_81_FRA.xml").read_bytes())
    parse_opportunity(notice)
    assert notice["title"]["fr"].startswith("Assistance à maîtrise d’œuvre en suivi de réalisation")
    assert notice["contact"] == {"name": "Service Achats", "email": "sapi.bgi@cea.fr"}
    assert (notice["procedure"], notice["deadline"]) == ("restricted", "2020-09-14T16:00:00+01:00")
    assert notice["url"] == "https://www.marches-publics.gouv.fr"
    assert notice["lots"][0]["title"] == {"fr": "Procurement of Military Working Dogs"}


@official
def test_the_empty_official_sample_is_refused_for_what_it_lacks() -> None:
    with pytest.raises(NoticeError, match=r"^BT-701 Notice Identifier is missing: cbc:ID"):
        read_notice((SAMPLES / "INVALID_cn_24_stage-1.xml").read_bytes())


def test_without_a_procedure_id_the_notice_id_is_the_reference() -> None:
    notice = read(without("<cbc:ContractFolderID>", "</cbc:ContractFolderID>"))
    assert notice["id"] == notice["notice_id"]


def test_without_a_title_the_refusal_names_the_term_and_the_element() -> None:
    untitled = without('<cbc:Name languageID="NLD">Slimme', "</cbc:Name>")
    with pytest.raises(NoticeError, match=r"^BT-21 Title is missing: cac:ProcurementProject/cbc:Name"):
        read_notice(untitled.encode())


def test_a_version_is_a_number_and_a_bad_one_is_left_out() -> None:
    assert read(changed(("VersionID>01<", "VersionID>12<")))["version"] == 12
    assert "version" not in read(changed(("VersionID>01<", "VersionID>00<")))
    assert "version" not in read(changed(("VersionID>01<", "VersionID>eerste<")))


def test_what_is_malformed_but_optional_is_left_out() -> None:
    notice = read(
        changed(
            (">BE231<", ">nergens-1<"),
            ("https://www.", "http://www."),
            ("aankoop@", "aankoop at "),
            (">open<", "><"),
            (">services<", ">combined<"),
            (">35125100<", ">sensoren<"),
            (">85000<", ">85.000,00<"),
            (">0200.911.249<", ">0200.911.248<"),
        )
    )
    assert notice["buyer"] == {"name": "Rioolbeheer Denderland"}
    assert notice["contact"] == {"name": "Aankoopdienst"}
    assert notice["cpv"] == ["38421000", "90491000", "72316000"]
    absent = {"regions", "url", "documents", "procedure", "nature", "estimated_value"}
    assert not absent & set(notice)


def test_a_bare_time_is_belgian_only_in_a_belgian_notice() -> None:
    bare = changed(("+02:00<", "<"), ("+01:00<", "<"))
    assert read(bare)["deadline"] == "2027-10-15T12:00:00+02:00"
    assert read(bare)["published_at"] == "2026-11-16T09:30:00+01:00"
    foreign = read(changed((">BEL<", ">LUX<"), notice=bare))
    assert not {"deadline", "questions_until", "published_at"} & set(foreign)
    assert "kbo" not in foreign["buyer"]


def test_a_deadline_without_a_time_lasts_until_the_end_of_the_day() -> None:
    notice = read(without("<cbc:EndTime>", "</cbc:EndTime>"))
    assert notice["deadline"] == "2027-10-15T23:59:59+02:00"


def test_the_first_limit_of_a_lot_decides_who_is_too_late() -> None:
    both = until("2028-05-09") + until("2028-03-09", "ParticipationRequestReceptionPeriod")
    assert read(with_lots(lot(1, deadline=both)))["deadline"] == "2028-03-09T12:00:00+01:00"


def test_an_expression_of_interest_has_a_limit_too() -> None:
    interest = until("2028-02-09", "Period").replace("cac:Period", "efac:InterestExpressionReceptionPeriod")
    extension = SENSORS.partition("<ext:UBLExtensions>")[2].partition("<efac:NoticeSubType>")[0]
    ends = "</efext:EformsExtension></ext:ExtensionContent></ext:UBLExtension></ext:UBLExtensions>"
    notice = read(with_lots(lot(1, deadline=f"<ext:UBLExtensions>{extension}{interest}{ends}")))
    assert notice["deadline"] == "2028-02-09T12:00:00+01:00"


@pytest.mark.parametrize("kind", ["PriorInformationNotice", "ContractAwardNotice"])
def test_prior_and_award_notices_are_read_and_name_their_type(kind: str) -> None:
    other = changed(("ContractNotice", kind), ('listName="competition">cn-standard<', ">CAN-Standard<"))
    assert read(other)["notice_type"] == "can-standard"
    untyped = without("<cbc:NoticeTypeCode", "</cbc:NoticeTypeCode>", other)
    assert read(untyped)["notice_type"] == kind


def test_lots_are_summed_only_when_all_have_a_value_in_one_currency() -> None:
    summed = read(with_lots(lot(1, value=euro("100.25")), lot(2, value=euro("200.50"))))
    assert summed["estimated_value"] == {"amount": 300.75, "currency": "EUR"}
    assert "estimated_value" not in read(with_lots(lot(1, value=euro("1")), lot(2)))
    mixed = with_lots(lot(1, value=euro("1")), lot(2, value=euro("2", "SEK")))
    assert "estimated_value" not in read(mixed)


def test_a_group_of_lots_is_not_counted_again() -> None:
    group = lot(9, value=euro("300"), scheme="LotsGroup")
    notice = read(with_lots(lot(1, value=euro("100")), lot(2, value=euro("200")), group))
    assert notice["estimated_value"]["amount"] == 300
    assert [each["id"] for each in notice["lots"]] == ["LOT-0001", "LOT-0002"]


@pytest.mark.parametrize(("count", "total"), [(100, None), (150, 150)])
def test_at_most_a_hundred_lots_are_kept_and_all_are_counted(count: int, total: int | None) -> None:
    lots = [
        lot(n, value=euro("10"), deadline=until(f"2028-05-{n % 28 + 1:02d}")) for n in range(1, count + 1)
    ]
    notice = read(with_lots(*lots))
    assert len(notice["lots"]) == 100
    assert notice.get("lots_total") == total
    assert notice["estimated_value"]["amount"] == 10 * count
    assert notice["deadline"] == "2028-05-01T12:00:00+01:00"


def test_long_texts_are_cut_at_a_word_and_say_so() -> None:
    title = read(changed((">Slimme sensoren", ">" + "meten " * 100)))["title"]["nl"]
    assert len(title) <= 400
    assert title.endswith(" meten…")


def test_the_lead_of_a_group_of_buyers_is_the_buyer() -> None:
    party = '<cac:Party>\n      <cac:PartyIdentification>\n        <cbc:ID schemeName="organization">{}<'
    second = (
        "<cac:ContractingParty>" + party.format("ORG-0002") + "/cbc:ID></cac:PartyIdentification></cac:Party>"
        "</cac:ContractingParty><cac:ContractingParty>"
    )
    together = changed(("<cac:ContractingParty>", second))
    assert read(together)["buyer"]["name"].startswith("Beroepsinstantie")
    lead = changed(
        (
            "<efac:Organization>\n              <efac:Company>\n                <cbc:WebsiteURI>",
            "<efac:Organization><efbc:GroupLeadIndicator>true</efbc:GroupLeadIndicator>"
            "<efac:Company><cbc:WebsiteURI>",
        ),
        notice=together,
    )
    assert read(lead)["buyer"]["name"] == "Rioolbeheer Denderland"


def test_a_buyer_can_be_named_by_its_contact_point() -> None:
    point = (
        '<efac:TouchPoint><cac:PartyIdentification><cbc:ID schemeName="touchpoint">TPO-0001</cbc:ID>'
        '</cac:PartyIdentification><cac:PartyName><cbc:Name languageID="NLD">Loket Riolen</cbc:Name>'
        "</cac:PartyName></efac:TouchPoint>"
    )
    first_company, _, rest = SENSORS.partition("</efac:Company>")
    organisations, party, after = rest.partition("<cac:ContractingParty>")
    notice = read(
        first_company
        + "</efac:Company>"
        + point
        + organisations
        + party
        + after.replace("ORG-0001", "TPO-0001")
    )
    assert notice["buyer"] == {"name": "Loket Riolen", "kbo": "0200911249"}


def test_a_change_notice_says_what_it_changes() -> None:
    changes = (
        "<efac:Changes><efbc:ChangedNoticeIdentifier>e0a3-01</efbc:ChangedNoticeIdentifier></efac:Changes>"
        "<efac:Organizations>"
    )
    assert read(changed(("<efac:Organizations>", changes)))["changed_notice_id"] == "e0a3-01"


def test_open_documents_come_before_restricted_ones_and_none_twice() -> None:
    notice = read(
        changed(("non-restricted-document</cbc:DocumentType>", "restricted-document</cbc:DocumentType>"))
    )
    assert notice["url"].endswith("bestek.pdf")
    first_restricted = SENSORS.replace("non-restricted-document", "restricted-document", 1)
    assert read(first_restricted)["url"].endswith("meetplaatsen.pdf")
    doubled = changed(("meetplaatsen.pdf", "bestek.pdf"))
    assert len(read(doubled)["documents"]) == 1


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "windows-1252", "UTF-16"])
def test_other_encodings_are_read_when_declared(encoding: str) -> None:
    other = changed(('encoding="UTF-8"', f'encoding="{encoding}"'), (">Slimme", ">Één slimme"))
    assert read_notice(other.encode(encoding))["title"]["nl"].startswith("Één slimme")


@pytest.mark.parametrize(
    ("declared", "written"),
    [("UTF-8", "latin-1"), ("ISO-8859-1", "utf-8"), ("UTF-16", "utf-8"), ("UTF-8", "utf-16")],
)
def test_a_lie_about_the_encoding_is_refused(declared: str, written: str) -> None:
    lie = changed(('encoding="UTF-8"', f'encoding="{declared}"'), (">Slimme", ">Één slimme"))
    with pytest.raises(NoticeError):
        read_notice(lie.encode(written))


@pytest.mark.parametrize("encoding", ["klingon", "hex", "undefined", "idna", "utf-7", "shift_jis"])
def test_an_encoding_nobody_can_read_is_refused(encoding: str) -> None:
    with pytest.raises(NoticeError):
        read_notice(changed(('encoding="UTF-8"', f'encoding="{encoding}"'), (">Slimme", ">Één")).encode())


BILLION_LAUGHS = (
    '<!DOCTYPE n [<!ENTITY a "lol">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]><n>&j;</n>"
)
EXTERNAL = '<!DOCTYPE n [<!ENTITY x SYSTEM "file:///etc/passwd">]><n>&x;</n>'
REMOTE_DTD = '<!DOCTYPE n SYSTEM "http://127.0.0.1:9/n.dtd"><n/>'


@pytest.mark.parametrize("xml", [BILLION_LAUGHS, EXTERNAL, REMOTE_DTD], ids=["laughs", "external", "dtd"])
def test_a_document_type_or_entity_is_refused(xml: str) -> None:
    with pytest.raises(NoticeError, match="DTD or entities"):
        read_notice(xml.encode())


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not well-formed"),
        (b"\x00\xff\xfe", "not well-formed"),
        (b'{"id": "x"}', "not well-formed"),
        (SENSORS[:9000].encode(), "not well-formed"),
        (b"<html/>", "not an eForms notice"),
        (b"<ContractNotice/>", "not an eForms notice"),
        (b" " * 5_000_001, "larger than"),
        (b"<a/>" * 700_000, "more than the 300000 elements"),
    ],
    ids=["empty", "binary", "json", "truncated", "html", "no-namespace", "too-large", "too-many"],
)
def test_what_is_no_notice_is_refused_with_the_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(NoticeError, match=reason):
        read_notice(raw)


def hostile_files() -> dict[str, bytes]:
    root = SENSORS.partition("  <ext:UBLExtensions>")[0]
    project = SENSORS.partition("  <cac:ProcurementProjectLot>")[0]
    return {
        "deep": (root + "<a>" * 200_000 + "</a>" * 200_000 + "</ContractNotice>").encode(),
        "deep namespaces": (root + '<x:a xmlns:x="u">' * 100_000).encode(),
        "attributes": (
            root + "<a " + " ".join(f'a{n}=""' for n in range(400_000)) + "/></ContractNotice>"
        ).encode(),
        "namespaces": (
            root + "<a " + " ".join(f'xmlns:n{n}="u"' for n in range(200_000)) + "/></ContractNotice>"
        ).encode(),
        "lots": (project + "<cac:ProcurementProjectLot/>" * 150_000 + "</ContractNotice>").encode(),
        "full lots": with_lots(*(lot(n, value=euro("10")) for n in range(9_999))).encode(),
        "one word": changed((">Slimme", ">" + "a" * 2_400_000)).encode(),
        "many lines": changed((">Bij hevige", ">" + "\n" * 2_400_000)).encode(),
    }


@pytest.mark.parametrize("name", list(hostile_files()))
def test_a_file_made_to_be_slow_is_answered_at_once(name: str) -> None:
    raw = hostile_files()[name]
    started = time.process_time()
    read_or_refuse(raw)
    assert time.process_time() - started < 3


def test_deep_nesting_in_a_well_formed_notice_is_refused() -> None:
    nested = changed(("</ContractNotice>", "<a>" * 200_000 + "</a>" * 200_000 + "</ContractNotice>"))
    with pytest.raises(NoticeError, match="nested deeper"):
        read_notice(nested.encode())


@given(st.binary(max_size=2_000))
def test_random_bytes_are_refused_and_never_crash(raw: bytes) -> None:
    with pytest.raises(NoticeError):
        read_notice(raw)


@given(st.integers(0, len(SENSORS)), st.integers(0, 400), st.binary(max_size=20))
def test_a_damaged_notice_is_refused_or_still_an_opportunity(start: int, length: int, patch: bytes) -> None:
    raw = SENSORS.encode()
    read_or_refuse(raw[:start] + patch + raw[start + length :])


HELD = [
    part
    for part in (
        "f",
        "01",
        "2026-11-16+01:00",
        "09:30:00+01:00",
        "2027-10-15+02:00",
        "12:00:00+02:00",
        "85000",
        "BE231",
        "0200.911.249",
        "aankoop@rioolbeheer-denderland.example",
        "Rioolbeheer Denderland",
        "35125100",
        "open",
        "Slimme sensoren voor rioleringen: overstorten voorspellen",
        "Aankoopdienst",
        "LOT-0001",
        "NLD",
        "https://www.rioolbeheer-denderland.example/",
        "Bestek RBD-2026-031",
        "BEL",
    )
    if f">{part}<" in SENSORS
]
NOT_XML = re.compile("[^\\t\\n\\r -\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
TEXT = st.text(max_size=600).map(lambda text: escape(NOT_XML.sub("", text)))
LIKELY = st.from_regex(r"\A[0-9]{1,4}[-:.]?[0-9]{2}[-:.]?[0-9]{2}([+-][0-9]{2}:[0-9]{2}|Z)?\Z") | st.just("")


@given(st.dictionaries(st.sampled_from(HELD), TEXT | LIKELY, max_size=6))
def test_whatever_an_element_says_the_rest_is_kept_or_refused(said: dict[str, str]) -> None:
    pairs = [(f">{old}<", f">{new}<") for old, new in said.items()]
    notice = SENSORS
    for old, new in pairs:
        notice = notice.replace(old, new)
    read_or_refuse(notice.encode())


@given(st.text(max_size=3_000), st.integers(10, 500))
def test_a_tidied_text_is_short_enough_and_clean(text: str, limit: int) -> None:
    tidied = plain(text, limit, one_line=True)
    assert len(tidied) <= limit
    assert tidied == tidied.strip()
    assert not set(tidied) & set("\n\r\t\x7f\x85\u2028\u2029")
    assert plain(tidied, limit, one_line=True) == tidied


@pytest.mark.parametrize(
    ("day", "at", "expected"),
    [
        ("2027-03-01Z", "12:00:00Z", "2027-03-01T12:00:00+00:00"),
        ("2027-03-01+01:00", "12:00:00", "2027-03-01T12:00:00+01:00"),
        ("2027-03-01", "12:00:00.5+01:00", "2027-03-01T12:00:00+01:00"),
        ("2027-02-28+01:00", "24:00:00+01:00", "2027-03-01T00:00:00+01:00"),
        ("2027-03-01+01:00", "", "2027-03-01T23:59:59+01:00"),
        ("2027-02-29+01:00", "12:00:00+01:00", None),
        ("2027-03-01+15:00", "12:00:00+15:00", None),
        ("2027-03-01+99:99", "12:00:00+99:99", None),
        ("0001-01-01+01:00", "00:00:00+01:00", None),
        ("2027-W09-1", "12:00:00+01:00", None),
        ("2027-03-01+01:00", "noon", None),
        ("2027-03-01", "12:00:00", None),
        ("", "12:00:00+01:00", None),
    ],
)
def test_a_date_and_a_time_make_an_instant_or_nothing(day: str, at: str, expected: str | None) -> None:
    found = moment(day, at, None, without_time="23:59:59")
    assert (found.isoformat() if found else None) == expected


def test_enterprise_numbers_are_checked_and_belgian() -> None:
    assert kbo("BE 0200.911.249", "BEL") == kbo("200911249", "BEL") == kbo("BE0200911249", "") == "0200911249"
    assert kbo("0200.911.248", "BEL") is None
    assert kbo("0200.911.249", "FRA") is None
    assert kbo("0200.911.249", "") is None
    assert kbo("EU-PO", "BEL") is None


def test_languages_are_known_by_their_old_and_new_codes() -> None:
    assert [language(code) for code in ("NLD", "DUT", "nl", "FRE", "ELL", "XXX", "")] == [
        "nl", "nl", "nl", "fr", "el", None, None,
    ]  # fmt: skip
