"""Accounts as the API shows them."""

from datetime import date
from typing import Self

from pydantic import BaseModel

from quince.billing.customers.service import Supply


class MeterOut(BaseModel):
    """A meter and the local days it measured the account on; `last_day` is null while it does."""

    id: str
    channel: str
    first_day: date
    last_day: date | None


class AccountOut(BaseModel):
    """An account with its meters, oldest first."""

    id: str
    customer_name: str
    premise: str
    tariff: str
    meters: list[MeterOut]

    @classmethod
    def of(cls, supply: Supply) -> Self:
        """Show an account."""
        return cls(
            id=supply.account.account_id,
            customer_name=supply.customer.name,
            premise=supply.account.premise,
            tariff=supply.account.tariff_id,
            meters=[
                MeterOut(
                    id=meter.meter_id,
                    channel=str(meter.channel),
                    first_day=meter.first_day,
                    last_day=meter.last_day,
                )
                for meter in supply.meters
            ],
        )
