"""What the endpoints call: the billing office, the read side of intervals, the identities."""

from dataclasses import dataclass

from quince.billing.runs.service import Office
from quince.headend.identity.service import Identity
from quince.headend.usage.service import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Use cases with their stores bound; it lives as long as the process."""

    office: Office
    usage: Usage
    identity: Identity
