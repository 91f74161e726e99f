from datetime import date

import pytest

from quince.billing.customers.rules import Account, AccountMeter, Customer
from quince.billing.customers.service import Supply
from quince.model.obis import ACTIVE_IMPORT_INTERVAL
from quince.portal_api.usage.rules import own_stretch


def supply(account_id: str, *stretches: tuple[date, date | None]) -> Supply:
    """Return an account that had the meter QN-1 on these stretches."""
    return Supply(
        customer=Customer(customer_id="C-1", name="Uno"),
        account=Account(account_id=account_id, customer_id="C-1", premise="P", tariff_id="T"),
        meters=tuple(
            AccountMeter(
                account_id=account_id,
                meter_id="QN-1",
                channel=ACTIVE_IMPORT_INTERVAL,
                first_day=first_day,
                last_day=last_day,
            )
            for first_day, last_day in stretches
        ),
    )


# The meter came back to the caller's other account, which sorts before the first one.
SUPPLIES = (
    supply("A-1", (date(2026, 5, 20), None)),
    supply("A-2", (date(2026, 5, 1), date(2026, 5, 10))),
)


@pytest.mark.parametrize(
    ("asked", "own"),
    [
        ((date(2026, 5, 5), date(2026, 5, 31)), (date(2026, 5, 5), date(2026, 5, 10))),
        ((date(2026, 4, 1), date(2026, 5, 31)), (date(2026, 5, 1), date(2026, 5, 10))),
        ((date(2026, 5, 15), date(2026, 5, 31)), (date(2026, 5, 20), date(2026, 5, 31))),
    ],
)
def test_the_stretch_of_the_first_asked_day_comes_first_else_the_earliest(
    asked: tuple[date, date], own: tuple[date, date]
) -> None:
    stretch = own_stretch(SUPPLIES, "QN-1", *asked)
    assert stretch is not None
    assert stretch[1:] == own


def test_days_between_two_stretches_are_nobodys() -> None:
    assert own_stretch(SUPPLIES, "QN-1", date(2026, 5, 11), date(2026, 5, 19)) is None
