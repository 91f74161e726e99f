"""Which of a meter's days are the caller's."""

from datetime import date

from quince.billing.customers.rules import AccountMeter
from quince.billing.customers.service import Supply


def own_stretch(
    supplies: tuple[Supply, ...], meter_id: str, first_day: date, last_day: date
) -> tuple[AccountMeter, date, date] | None:
    """Return the caller's part of the asked days at this meter, None if no day is theirs.

    Whoever lived there before, or lives there now, has days of their own. Of several stretches
    it is the one that contains `first_day`, else the earliest; ask again for the later days.
    """
    stretches = [
        meter
        for supply in supplies
        for meter in supply.meters
        if meter.meter_id == meter_id and meter.touches(first_day, last_day)
    ]
    if not stretches:
        return None
    # A stretch that contains `first_day` began by then; any other that touches the days, after.
    meter = min(stretches, key=lambda stretch: stretch.first_day)
    last_own = last_day if meter.last_day is None else min(last_day, meter.last_day)
    return meter, max(first_day, meter.first_day), last_own
