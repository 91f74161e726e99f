"""Whether the keys of the configuration are the meter's: each tried on its own where it can be.

Law: each question is put once. Some meters lock themselves after a few failures, so how many there
may be is known beforehand (`attempts_max`).
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum

from quince.edge.commissioning.keys import ciphering_of
from quince.edge.config import DlmsMeterConfig, MeterConfig, OpticalMeterConfig
from quince.edge.errors import PasswordRefusedError, UnsupportedError
from quince.edge.readers.dlms.security import (
    DlmsHashed,
    DlmsLls,
    DlmsNoSecurity,
    DlmsSecurity,
)
from quince.edge.readers.reader import Instrument
from quince.model.errors import RemoteProtocolError
from quince.protocols.dlms.errors import (
    AssociationRefusedError,
    AuthenticationError,
    ProtectionError,
    ServiceRefusedError,
)

Open = Callable[[MeterConfig], AbstractAsyncContextManager[Instrument]]
_REFUSALS = (
    AssociationRefusedError,
    ProtectionError,
    ServiceRefusedError,
    PasswordRefusedError,
)


class Secret(StrEnum):
    """What can be wrong."""

    PASSWORD = "password"  # noqa: S105 - the name of one, not one
    ENCRYPTION = "encryption"
    AUTHENTICATION = "authentication"
    MASTER = "master"


class Verdict(StrEnum):
    """What is known of one of them."""

    RIGHT = "right"
    WRONG = "wrong"
    ONE_IS_WRONG = "one_is_wrong"  # of all that say so: the meter does not tell which
    NOT_TRIED = "not_tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One secret, and what is known of it."""

    secret: Secret
    verdict: Verdict


def attempts_max(meter: MeterConfig) -> int:
    """Return how many refused associations a check may cost; UnsupportedError without secrets."""
    _tried(meter)
    return 2 if _password_alone(meter) is not None else 1


async def verify(meter: MeterConfig, open_session: Open) -> list[Finding]:
    """Try the meter's secrets, together first; TransportError if nobody answers."""
    secrets = _tried(meter)
    reason = await _refusal(meter, open_session)
    verdicts = dict.fromkeys(secrets, Verdict.RIGHT if reason is None else Verdict.ONE_IS_WRONG)
    if reason is not None and len(secrets) == 1:
        verdicts[secrets[0]] = Verdict.WRONG
    alone = _password_alone(meter)
    if reason is not None and alone is not None:
        verdicts |= await _of_password(alone, open_session)
    findings = [Finding(secret=one, verdict=verdict) for one, verdict in verdicts.items()]
    # Nothing but a change of keys would show it.
    ciphering = ciphering_of(meter)
    if ciphering is not None and ciphering.master_key is not None:
        findings.append(Finding(secret=Secret.MASTER, verdict=Verdict.NOT_TRIED))
    return findings


async def _of_password(alone: MeterConfig, open_session: Open) -> dict[Secret, Verdict]:
    """Return what an association in clear says; nothing if the meter has none with a password."""
    reason = await _refusal(alone, open_session)
    if reason is None:
        return {Secret.PASSWORD: Verdict.RIGHT}
    if isinstance(reason, AuthenticationError):
        return {Secret.PASSWORD: Verdict.WRONG}
    return {}


async def _refusal(meter: MeterConfig, open_session: Open) -> RemoteProtocolError | None:
    try:
        async with open_session(meter) as instrument:
            if isinstance(meter, OpticalMeterConfig):
                await instrument.clock()  # nothing is said to such a meter before it is asked
    except _REFUSALS as refusal:
        return refusal
    return None


def _tried(meter: MeterConfig) -> list[Secret]:
    match meter:
        case DlmsMeterConfig(security=DlmsNoSecurity()):
            secrets = []
        case DlmsMeterConfig(security=security):
            secrets = [Secret.PASSWORD] if isinstance(security, DlmsLls | DlmsHashed) else []
            if ciphering_of(meter) is not None:
                secrets += [Secret.ENCRYPTION, Secret.AUTHENTICATION]
        case OpticalMeterConfig(mode="c", password=password) if password is not None:
            secrets = [Secret.PASSWORD]
        case _:
            secrets = []
    if not secrets:
        raise UnsupportedError(f"{meter.id} has no secrets that could be tried")
    return secrets


def _password_alone(meter: MeterConfig) -> MeterConfig | None:
    """Return the meter with its password alone; None where it is that already, or has none."""
    if not isinstance(meter, DlmsMeterConfig) or ciphering_of(meter) is None:
        return None
    security: DlmsSecurity = meter.security
    if not isinstance(security, DlmsLls | DlmsHashed):
        return None
    return meter.model_copy(update={"security": security.model_copy(update={"ciphering": None})})
