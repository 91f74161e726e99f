"""Which keys open a meter's ciphered frames: those the gateway's configuration has for it."""

from quince.edge.commissioning.dlms_frames import Opener
from quince.edge.config import DlmsMeterConfig, DsmrMeterConfig, MeterConfig
from quince.edge.readers.dlms.security import DlmsCiphering, DlmsHashed, DlmsLls, keys_of
from quince.edge.readers.optical.connector import telegram_key
from quince.model.errors import InvalidValueError
from quince.protocols.dlms.security.suite import Keys


def opener_of(meter: MeterConfig, system_title: str) -> Opener:
    """Return what opens frames of `meter`; InvalidValueError if nothing of it is ciphered.

    `system_title` (hexadecimal) is the sender's; the meter's own where that is empty.
    """
    ciphering = ciphering_of(meter)
    if ciphering is None:
        return Opener(keys=_telegram_keys(meter))
    title = system_title or ciphering.meter_system_title or ""
    try:
        return Opener(keys=keys_of(ciphering), system_title=bytes.fromhex(title))
    except ValueError:
        raise InvalidValueError("system_title", title, "hexadecimal digits") from None


def ciphering_of(meter: MeterConfig) -> DlmsCiphering | None:
    """Return what a meter's messages are sealed with, None if they go in clear."""
    match meter:
        case DlmsMeterConfig(security=DlmsCiphering() as ciphering):
            return ciphering
        case DlmsMeterConfig(security=DlmsLls() | DlmsHashed() as security):
            return security.ciphering
        case _:
            return None


def _telegram_keys(meter: MeterConfig) -> Keys:
    """Return a P1 port's key; what it authenticates besides is control and authentication key."""
    key = telegram_key(meter) if isinstance(meter, DsmrMeterConfig) else None
    if key is None:
        raise InvalidValueError("meter", meter.id, "has no keys in the configuration")
    return Keys(encryption=key.encryption, authentication=key.additional[1:])
