"""Opens sessions with meters that speak by light or through a customer port, as configured."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

from quince.edge.config import DsmrMeterConfig, OpticalMeterConfig, SmlMeterConfig
from quince.edge.readers.optical.dsmr import open_dsmr
from quince.edge.readers.optical.reader import open_optical
from quince.edge.readers.optical.session import Dialect, OpticalLine
from quince.edge.readers.optical.sml import open_sml
from quince.edge.readers.reader import Instrument
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError
from quince.protocols.optical.dsmr.encryption import TelegramKey
from quince.protocols.optical.line import PUSH_BAUD


def light_connector(
    meter: OpticalMeterConfig | SmlMeterConfig | DsmrMeterConfig, clock: Clock
) -> Callable[[], AbstractAsyncContextManager[Instrument]]:
    """Return what opens a session through an optical head or a customer port."""
    match meter:
        case OpticalMeterConfig(mode="d"):
            return partial(
                open_dsmr,
                meter.url,
                meter_id=meter.id,
                baud=PUSH_BAUD,
                utc_offset_min=meter.utc_offset_min,
                clock=clock,
            )
        case OpticalMeterConfig():
            return partial(
                open_optical,
                optical_line(meter),
                meter_id=meter.id,
                utc_offset_min=meter.utc_offset_min,
                clock=clock,
            )
        case SmlMeterConfig():
            return partial(open_sml, meter.url, meter_id=meter.id, clock=clock)
        case DsmrMeterConfig():
            return partial(
                open_dsmr,
                meter.url,
                meter_id=meter.id,
                baud=meter.baud,
                key=telegram_key(meter),
                utc_offset_min=meter.utc_offset_min,
                clock=clock,
            )


def optical_line(meter: OpticalMeterConfig) -> OpticalLine:
    """Return where an optical meter is, and how it is spoken to."""
    return OpticalLine(
        url=meter.url,
        device_address=meter.device_address,
        password=None if meter.password is None else meter.password.get_secret_value(),
        dialect=Dialect(
            unlock=meter.unlock_command,
            read=meter.read_command,
            profile=meter.profile_command,
            write=meter.write_command,
        ),
    )


def telegram_key(meter: DsmrMeterConfig) -> TelegramKey | None:
    """Return what opens a P1 meter's telegrams, None if they are not sealed."""
    if meter.key is None:
        return None
    encryption = _octets(meter, meter.key.get_secret_value())
    if meter.additional is None:
        return TelegramKey(encryption=encryption)
    additional = _octets(meter, meter.additional.get_secret_value())
    return TelegramKey(encryption=encryption, additional=additional)


def _octets(meter: DsmrMeterConfig, digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError as error:
        raise InvalidValueError(f"{meter.id} key", "…", "hexadecimal digits") from error
