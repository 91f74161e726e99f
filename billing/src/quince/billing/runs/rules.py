"""From a final series to a bill: pure, so that a bill computed again is the same bill."""

from quince.billing.bill.bill import Bill, Evidence, Heading, Provenance, make_bill
from quince.billing.determinants.determinants import measure, row_of
from quince.billing.determinants.plan import Plan
from quince.billing.errors import Gap, IncompleteIntervalsError, UsageMismatchError
from quince.billing.rating.rating import rate
from quince.billing.tariff.tariff import TariffBook
from quince.headend.usage.service import FinalSeries
from quince.model.interval import STEP
from quince.model.quality import Quality


def draw_up(
    *,
    heading: Heading,
    book: TariffBook,
    plan: Plan,
    series: FinalSeries,
    provenance: Provenance,
) -> Bill:
    """Return the bill of a whole series.

    IncompleteIntervalsError when an interval is missing, UsageMismatchError when the series
    is not the heading's.
    """
    _require_asked_for(heading, plan, series)
    gaps = gaps_of(series)
    if gaps:
        raise IncompleteIntervalsError(series.meter_id, gaps)
    (determinants,) = measure(plan, row_of(series.values))
    return make_bill(
        heading=heading,
        evidence=_evidence(plan, series),
        book=book,
        charges=rate(book, determinants),
        provenance=provenance,
    )


def gaps_of(series: FinalSeries) -> tuple[Gap, ...]:
    """Return the runs of missing intervals, in order."""
    present = (True, *(value is not None for value in series.values), True)
    edges = [at for at in range(len(present) - 1) if present[at] != present[at + 1]]
    return tuple(
        Gap(start_utc=series.start_utc + first * STEP, end_utc=series.start_utc + end * STEP)
        for first, end in zip(edges[::2], edges[1::2], strict=True)
    )


def _evidence(plan: Plan, series: FinalSeries) -> Evidence:
    return Evidence(
        start_utc=plan.start_utc,
        end_utc=plan.end_utc,
        expected=plan.slots,
        estimated=sum(bool(flags & Quality.ESTIMATED) for flags in series.quality),
        sha256=series.sha256,
    )


def _require_asked_for(heading: Heading, plan: Plan, series: FinalSeries) -> None:
    asked = (heading.meter_id, heading.channel, plan.start_utc, plan.slots)
    answered = (series.meter_id, str(series.obis), series.start_utc, len(series.values))
    if asked != answered:
        raise UsageMismatchError(f"asked for {asked}, got {answered}")
