"""The bill as text: what a customer reads on a terminal, at most 78 columns wide."""

from decimal import Decimal

from quince.billing.bill.bill import Bill, fingerprint
from quince.billing.rating.lines import Item, Line, LineKind
from quince.billing.tariff.charges import MICRO_PLACES

_MARGIN = "  "
_WIDTH = 78 - len(_MARGIN)
_LABEL = 10
_QUANTITY = 17
_PRICE = 11
_AMOUNT = 14


def render_text(bill: Bill) -> str:
    """Return the bill's text, ending in a newline."""
    table = (*_lines(bill), *_totals(bill))
    blocks = (_title(bill), _heading(bill), table, _footer(bill))
    lines = [line for block in blocks for line in (*block, "")]
    return "\n".join(f"{_MARGIN}{line}".rstrip() for line in lines[:-1]) + "\n"


def _title(bill: Bill) -> tuple[str, ...]:
    title = "ELECTRICITY BILL"
    return (f"{title}{bill.bill_id:>{_WIDTH - len(title)}}", "━" * _WIDTH)


def _heading(bill: Bill) -> tuple[str, ...]:
    heading = bill.heading
    return (
        _field("Customer", heading.customer_name),
        _field("Account", f"{heading.account_id} · {heading.premise}"),
        _field("Meter", f"{heading.meter_id} · {heading.channel}"),
        _field("Period", f"{heading.period} · {bill.tariffs[0].zone}"),
        *(_field("Tariff", f"{t.name} · {t.version}") for t in bill.tariffs),
    )


def _lines(bill: Bill) -> tuple[str, ...]:
    before_tax = (line for line in bill.charges.lines if line.item.kind is not LineKind.TAX)
    return (
        _row("", "Quantity", "Price", bill.charges.currency),
        "─" * _WIDTH,
        *(row for line in before_tax for row in _line(line)),
        "─" * _WIDTH,
    )


def _totals(bill: Bill) -> tuple[str, ...]:
    taxes = (line for line in bill.charges.lines if line.item.kind is LineKind.TAX)
    return (
        _row("Subtotal", "", "", f"{bill.subtotal:,}"),
        *(row for line in taxes for row in _line(line)),
        _row("Total", "", "", f"{bill.total:,}"),
    )


def _footer(bill: Bill) -> tuple[str, ...]:
    evidence = bill.evidence
    received = f"{evidence.received} of {evidence.expected} received"
    return (
        f"Intervals {received}, {evidence.estimated} estimated.",
        *_losses(bill),
        f"Fingerprint {fingerprint(bill)}",
    )


def _losses(bill: Bill) -> tuple[str, ...]:
    factors = {line.item.loss_factor for line in bill.charges.lines} - {Decimal(1)}
    return tuple(f"Energy and demand are billed with losses, × {factor}." for factor in factors)


def _line(line: Line) -> tuple[str, ...]:
    item = line.item
    if item.kind in (LineKind.SURCHARGE, LineKind.TAX):
        name = f"{item.name} {_percent(item.unit_price)} of {item.quantity:,}"
        return (_row(name, "", "", f"{line.amount:,}"),)
    row = _row(item.name, _quantity(item), _price(item.unit_price), f"{line.amount:,}")
    return (row, *_share(item))


def _share(item: Item) -> tuple[str, ...]:
    if item.share == 1:
        return ()
    whole = "energy" if item.kind is LineKind.ENERGY else "month"
    return (f"  × {item.share} of the {whole}",)


def _quantity(item: Item) -> str:
    plural = "s" if item.kind is LineKind.FIXED and item.quantity != 1 else ""
    return f"{item.quantity:,} {item.unit}{plural}"


def _price(price: Decimal) -> str:
    return f"{price:,.{MICRO_PLACES}f}"


def _percent(rate: Decimal) -> str:
    return f"{(rate * 100).normalize():f} %"


def _row(name: str, quantity: str, price: str, amount: str) -> str:
    numbers = f"{quantity:>{_QUANTITY}}{price:>{_PRICE}}{amount:>{_AMOUNT}}"
    room = _WIDTH - len(numbers)
    return f"{_fit(name, room):<{room}}{numbers}"


def _field(label: str, text: str) -> str:
    return f"{label:<{_LABEL}}{_fit(text, _WIDTH - _LABEL)}"


def _fit(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
