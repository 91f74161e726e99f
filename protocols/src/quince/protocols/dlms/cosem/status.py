"""What the status octet of a profile's row says of the row's worth."""

from quince.model.quality import Quality
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.names import ClassId

# The profile status octet as IDIS and DSMR meters keep it; the other bits have no counterpart.
STATUS_CRITICAL_ERROR, STATUS_CLOCK_INVALID, STATUS_DATA_INVALID = 0x01, 0x02, 0x04
STATUS_DAYLIGHT_SAVING = 0x08
STATUS_CLOCK_ADJUSTED, STATUS_POWER_DOWN = 0x20, 0x80
_QUALITY = {
    # The meter itself disowns such a row: it must not be billed.
    STATUS_CRITICAL_ERROR: Quality.MISSING,
    STATUS_DATA_INVALID: Quality.MISSING,
    STATUS_CLOCK_INVALID: Quality.CLOCK_INVALID,
    STATUS_CLOCK_ADJUSTED: Quality.CLOCK_ADJUSTED,
    STATUS_POWER_DOWN: Quality.POWER_FAIL,
}


def quality_of_status(status: int) -> Quality:
    """Return what a profile status octet says about its row."""
    quality = Quality.GOOD
    for bit, flag in _QUALITY.items():
        if status & bit:
            quality |= flag
    return quality


def is_status(ref: Ref) -> bool:
    """Say whether a captured attribute is a profile's status word: 0-b:96.10.e."""
    name = ref.obis
    return ref.class_id == ClassId.DATA and (name.a, name.c, name.d) == (0, 96, 10)
