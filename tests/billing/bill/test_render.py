from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from quince.billing.bill.bill import Bill, fingerprint
from quince.billing.bill.render import render_text
from quince.billing.rating.lines import Charges, Item, LineKind
from quince.billing.tariff.charges import Rounding, RoundingMode

TEXT = """\
  ELECTRICITY BILL                                            {bill_id}
  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━

  Customer  Panadería La Esperanza
  Account   A-1 · Calle Arce 12, San Salvador
  Meter     SV-1 · 1-0:1.29.0
  Period    2026-04-30 to 2026-05-01 · America/El_Salvador
  Tariff    Three blocks, two seasons (illustrative) · 2026

                                             Quantity      Price           USD
  ────────────────────────────────────────────────────────────────────────────
  Dry season, PUNTA                        20.000 kWh   0.183983          3.73
  Dry season, RESTO                        56.000 kWh   0.162807          9.25
  Dry season, VALLE                        24.000 kWh   0.138412          3.37
  Wet season, PUNTA                        20.000 kWh   0.171540          3.48
  Wet season, RESTO                        52.000 kWh   0.148802          7.85
  Wet season, VALLE                        24.000 kWh   0.121365          2.96
  Distribution, highest demand              20.000 kW   6.329066          8.43
    × 61/930 of the month
  Commercialisation                            2 days   0.433776          0.87
  ────────────────────────────────────────────────────────────────────────────
  Subtotal                                                               39.94
  IVA 13 % of 39.94                                                       5.19
  Total                                                                  45.13

  Intervals 192 of 192 received, 0 estimated.
  Energy and demand are billed with losses, × 1.015.
  Fingerprint {fingerprint}
"""


def with_items(bill: Bill, *items: Item) -> Bill:
    cents = Rounding(places=2, mode=RoundingMode.HALF_UP)
    charges = Charges(currency="USD", lines=tuple(item.rounded(cents) for item in items))
    return replace(bill, charges=charges, subtotal=charges.subtotal, total=charges.total)


def energy(name: str, quantity: str, share: str = "1") -> Item:
    return Item(
        kind=LineKind.ENERGY,
        code="ENERGY",
        name=name,
        quantity=Decimal(quantity),
        unit="kWh",
        unit_price=Decimal("0.1"),
        share=Fraction(share),
    )


def test_the_bill_reads_so(bill: Bill) -> None:
    assert render_text(bill) == TEXT.format(bill_id=bill.bill_id, fingerprint=fingerprint(bill))


def test_no_line_is_wider_than_78_columns_whatever_the_names(bill: Bill) -> None:
    heading = replace(bill.heading, customer_name="Ñ" * 200, premise="x" * 200)
    wide = with_items(
        replace(bill, heading=heading), energy("Season of very long names " * 3, "20000000000.001")
    )
    text = render_text(wide)
    assert max(len(line) for line in text.splitlines()) == 78
    assert "20,000,000,000.001 kWh" in text


def test_estimated_intervals_are_not_received_ones(bill: Bill) -> None:
    estimated = replace(bill, evidence=replace(bill.evidence, estimated=3))
    assert "Intervals 189 of 192 received, 3 estimated." in render_text(estimated)


def test_energy_by_days_shows_its_share(bill: Bill) -> None:
    text = render_text(with_items(bill, energy("Wet season, PUNTA", "620.000", share="14/31")))
    assert "  × 14/31 of the energy\n" in text


def test_a_bill_without_losses_does_not_speak_of_them(bill: Bill) -> None:
    assert "losses" not in render_text(with_items(bill, energy("Energy", "1.000")))


def test_one_day_is_one_day(bill: Bill) -> None:
    day = Item(
        kind=LineKind.FIXED,
        code="RENT",
        name="Meter rent",
        quantity=Decimal(1),
        unit="day",
        unit_price=Decimal("0.5"),
    )
    assert " 1 day " in render_text(with_items(bill, day))
