import json
from dataclasses import replace
from decimal import Decimal

import pytest

from quince.billing.bill.bill import (
    Bill,
    Heading,
    Provenance,
    bill_bytes,
    fingerprint,
    make_bill,
    read_bill,
)
from quince.billing.tariff.tariff import Tariff, TariffBook
from quince.model.errors import InvalidValueError


def again(bill: Bill, tariff: Tariff, **changes: object) -> Bill:
    parts = {
        "heading": bill.heading,
        "evidence": bill.evidence,
        "book": TariffBook(versions=(tariff,)),
        "charges": bill.charges,
        "provenance": bill.provenance,
    }
    return make_bill(**(parts | changes))  # type: ignore[arg-type]  # each test changes one part


def test_a_bill_reads_back_the_same_bytes(bill: Bill) -> None:
    assert read_bill(bill_bytes(bill)) == bill
    assert bill_bytes(read_bill(bill_bytes(bill))) == bill_bytes(bill)


def test_a_bill_is_canonical_json_without_a_float(bill: Bill) -> None:
    document = json.loads(bill_bytes(bill), parse_float=pytest.fail)
    assert document["format"] == "quince.bill/1"
    assert document["charges"]["lines"][0]["amount"] == "3.73"
    assert (
        bill_bytes(bill)
        == json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    )


def test_a_bill_names_its_evidence_and_its_tariff_by_hash(bill: Bill) -> None:
    document = json.loads(bill_bytes(bill))
    assert document["evidence"]["sha256"] == "ab" * 32
    assert document["provenance"] == {"as_of": [3, 3, 1], "code_version": "0.1.0"}
    assert len(document["tariffs"][0]["sha256"]) == 64


def test_the_same_inputs_give_the_same_id(bill: Bill, tariff: Tariff) -> None:
    assert again(bill, tariff).bill_id == bill.bill_id


def test_a_revision_that_moved_on_makes_no_other_bill(bill: Bill, tariff: Tariff) -> None:
    later = Provenance(as_of=(3, 3, 2), code_version="0.2.0")
    assert again(bill, tariff, provenance=later).bill_id == bill.bill_id


def test_other_intervals_or_another_tariff_make_another_bill(bill: Bill, tariff: Tariff) -> None:
    other_intervals = replace(bill.evidence, sha256="cd" * 32)
    other_tariff = TariffBook(versions=(replace(tariff, name="Renamed"),))
    ids = {
        bill.bill_id,
        again(bill, tariff, evidence=other_intervals).bill_id,
        again(bill, tariff, book=other_tariff).bill_id,
    }
    assert len(ids) == 3


def test_the_fingerprint_sees_every_byte(bill: Bill) -> None:
    renamed = replace(bill, heading=replace(bill.heading, customer_name="Panaderia La Esperanza"))
    assert fingerprint(renamed) != fingerprint(bill)


def test_a_bill_whose_total_is_not_its_lines_is_refused(bill: Bill) -> None:
    with pytest.raises(InvalidValueError, match="the sum of the lines"):
        replace(bill, total=bill.total + Decimal("0.01"))


def test_a_bill_whose_subtotal_is_not_its_lines_is_refused(bill: Bill) -> None:
    with pytest.raises(InvalidValueError, match="the sum before tax"):
        replace(bill, subtotal=bill.total)


def test_more_estimates_than_intervals_are_refused(bill: Bill) -> None:
    with pytest.raises(InvalidValueError, match=r"0\.\.192"):
        replace(bill.evidence, estimated=193)


def test_a_channel_is_an_obis_code(heading: Heading) -> None:
    with pytest.raises(InvalidValueError, match="obis"):
        replace(heading, channel="kWh")
