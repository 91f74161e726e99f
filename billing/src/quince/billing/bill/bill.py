"""The bill document: who, which days, from which evidence, under which tariff, which lines.

Law: it is written once. Its id follows from its inputs, its fingerprint from its bytes.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from quince.billing.canonical import canonical_json, from_json, sha256_hex
from quince.billing.rating.lines import Charges, total_of
from quince.billing.tariff.document import tariff_sha256
from quince.billing.tariff.period import Period
from quince.billing.tariff.tariff import Tariff, TariffBook
from quince.model.errors import InvalidValueError
from quince.model.obis import Obis

_ID_DIGITS = 16  # 64 bits: among a billion bills two meet with a chance of 3 %, and are refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """Whom the bill is for, and what it bills."""

    tenant_id: int
    customer_id: str
    customer_name: str
    account_id: str
    premise: str
    meter_id: str
    channel: str
    period: Period

    def __post_init__(self) -> None:
        Obis.parse(self.channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The interval vector that was billed: [start_utc, end_utc), one value per quarter-hour."""

    start_utc: datetime
    end_utc: datetime
    expected: int
    estimated: int
    sha256: str

    def __post_init__(self) -> None:
        if not 0 <= self.estimated <= self.expected:
            raise InvalidValueError("estimated", self.estimated, f"0..{self.expected}")

    @property
    def received(self) -> int:
        """How many intervals the meter itself gave."""
        return self.expected - self.estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffReference:
    """A tariff version by name and by hash."""

    tariff_id: str
    version: str
    name: str
    zone: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """When, so to speak, the bill was computed: it explains a difference, it is no input.

    `as_of` holds the interval store's revision of each UTC day touched. A revision moves on
    when later quarter-hours of the same UTC day arrive, so two computations over the same
    vector may differ here and nowhere else.
    """

    as_of: tuple[int, ...]
    code_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """One account's charges for one period."""

    format: Literal["quince.bill/1"]
    bill_id: str
    heading: Heading
    evidence: Evidence
    tariffs: tuple[TariffReference, ...]
    provenance: Provenance
    charges: Charges
    subtotal: Decimal
    total: Decimal

    def __post_init__(self) -> None:
        if self.total != total_of(self.charges.lines):
            raise InvalidValueError("total", str(self.total), "must be the sum of the lines")
        if self.subtotal != self.charges.subtotal:
            raise InvalidValueError("subtotal", str(self.subtotal), "must be the sum before tax")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    """What decides the amounts; a customer's name does not."""

    tenant_id: int
    account_id: str
    meter_id: str
    channel: str
    period: Period
    evidence: Evidence
    tariffs: tuple[TariffReference, ...]


def make_bill(
    *,
    heading: Heading,
    evidence: Evidence,
    book: TariffBook,
    charges: Charges,
    provenance: Provenance,
) -> Bill:
    """Return the bill; the same account, meter, days, intervals and tariffs give the same id."""
    tariffs = tuple(_reference(version) for version in book.versions)
    inputs = _Inputs(
        tenant_id=heading.tenant_id,
        account_id=heading.account_id,
        meter_id=heading.meter_id,
        channel=heading.channel,
        period=heading.period,
        evidence=evidence,
        tariffs=tariffs,
    )
    return Bill(
        format="quince.bill/1",
        bill_id=sha256_hex(canonical_json(inputs))[:_ID_DIGITS],
        heading=heading,
        evidence=evidence,
        tariffs=tariffs,
        provenance=provenance,
        charges=charges,
        subtotal=charges.subtotal,
        total=charges.total,
    )


def bill_bytes(bill: Bill) -> bytes:
    """Return the bill's canonical JSON: what is kept, and compared byte for byte."""
    return canonical_json(bill)


def read_bill(octets: bytes) -> Bill:
    """Return the bill that `bill_bytes` wrote."""
    return from_json(Bill, octets)


def fingerprint(bill: Bill) -> str:
    """Return the SHA-256 of the bill's bytes, in hexadecimal."""
    return sha256_hex(bill_bytes(bill))


def _reference(tariff: Tariff) -> TariffReference:
    return TariffReference(
        tariff_id=tariff.tariff_id,
        version=tariff.version,
        name=tariff.name,
        zone=tariff.zone,
        sha256=tariff_sha256(tariff),
    )
