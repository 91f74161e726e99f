"""Builds the readers of a gateway from its configuration: it holds what several of them share."""

import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial

from quince.edge.agent import MeterPlan
from quince.edge.config import (
    DlmsMeterConfig,
    DsmrMeterConfig,
    ModbusMeterConfig,
    OpticalMeterConfig,
    SmlMeterConfig,
)
from quince.edge.profiles.catalogue import load_profile
from quince.edge.pushes.in_session import SessionEar
from quince.edge.pushes.pusher import Accept, Pusher
from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.readers.dlms.line import DlmsLine, open_dlms
from quince.edge.readers.dlms.login import Login, login
from quince.edge.readers.dlms.security import authentication
from quince.edge.readers.modbus.line import ModbusLine
from quince.edge.readers.modbus.reader import Installation, open_modbus
from quince.edge.readers.reader import Instrument
from quince.edge.transports.address import bus_of
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError
from quince.model.rng import Rng
from quince.protocols.dlms.cosem.clock import MeterTime
from quince.protocols.dlms.security.credentials import Authentication, ciphering_of

Meter = DlmsMeterConfig | ModbusMeterConfig | OpticalMeterConfig | SmlMeterConfig | DsmrMeterConfig


class Workshop:
    """Builds readers: it holds what several of them share."""

    def __init__(self, clock: Clock, counters: CounterStore, rng: Rng, *, accept: Accept) -> None:
        """Take the clock, the invocation counters, the randomness for challenges.

        `accept` makes safe what a meter says unasked while it is read.
        """
        self._clock = clock
        self._counters = counters
        self._accept = accept
        # What each DLMS meter's profile last looked like: one entry for each in the configuration.
        self._layouts: dict[str, str] = {}
        self._keyed: dict[str, _Keyed] = {}
        self._plans: dict[str, tuple[Meter, MeterPlan]] = {}
        self._rng = rng

    def plan(self, meter: Meter) -> MeterPlan:
        """Return how the agent is to see a meter: the same as before if the meter is the same."""
        before = self._plans.get(meter.id)
        if before is not None and before[0] == meter:
            return before[1]
        plan = self._new_plan(meter)
        self._plans[meter.id] = (meter, plan)
        return plan

    def _new_plan(self, meter: Meter) -> MeterPlan:
        return MeterPlan(
            meter_id=meter.id,
            bus=bus_of(meter.url),
            keeps_profile=keeps_profile(meter),
            utc_offset_min=meter.utc_offset_min,
            connect=self.connector(meter),
            rolls_over_at=installation(meter).rolls_over_at
            if isinstance(meter, ModbusMeterConfig)
            else {},
            measured_as="" if keeps_profile(meter) else _measured_as(meter),
        )

    def connector(self, meter: Meter) -> Callable[[], AbstractAsyncContextManager[Instrument]]:
        """Return what opens a session with a meter."""
        match meter:
            case DlmsMeterConfig():
                return partial(
                    open_dlms,
                    dlms_line(meter),
                    meter_id=meter.id,
                    login=self._keys(meter).login,
                    utc_offset_min=meter.utc_offset_min,
                    rng=self._rng,
                    quirks=meter.quirks,
                    layouts=self._layouts,
                    heard=SessionEar(self.pusher(meter), self._accept, self._clock).hear,
                )
            case ModbusMeterConfig():
                return partial(
                    open_modbus,
                    ModbusLine(url=meter.url, device_id=meter.device_id, tls=meter.tls),
                    meter_id=meter.id,
                    installation=installation(meter),
                    clock=self._clock,
                )
            case OpticalMeterConfig() | SmlMeterConfig() | DsmrMeterConfig():
                # A megabyte that a gateway without optical heads does not hold.
                from quince.edge.readers.optical.connector import light_connector  # noqa: PLC0415 - optional: see above

                return light_connector(meter, self._clock)

    def pusher(self, meter: DlmsMeterConfig) -> Pusher:
        """Return how a meter's pushes are heard: under the keys of its sessions, if it has any."""
        return self._keys(meter).pusher

    def _keys(self, meter: DlmsMeterConfig) -> "_Keyed":
        """Return one and the same for an equal meter, whose keys may be changed in it."""
        before = self._keyed.get(meter.id)
        if before is not None and before.meter == meter:
            return before
        own = login(self._authentication(meter), self._counters, meter_id=meter.id)
        pusher = Pusher(
            meter_id=meter.id,
            time=MeterTime(standard_offset_min=meter.utc_offset_min, quirks=meter.quirks),
            ciphering=lambda: ciphering_of(own.begin()),
            believed_in_clear=meter.plain_push,
        )
        keyed = self._keyed[meter.id] = _Keyed(meter=meter, login=own, pusher=pusher)
        return keyed

    def _authentication(self, meter: DlmsMeterConfig) -> Authentication:
        try:
            return authentication(meter.security, self._counters)
        except InvalidValueError as error:
            field = f"{meter.id}.security.{error.field}"
            raise InvalidValueError(field, error.value, error.reason) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keyed:
    """What holds a meter's keys: its sessions and its pushes share them."""

    meter: DlmsMeterConfig
    login: Login
    pusher: Pusher


def dlms_line(meter: DlmsMeterConfig) -> DlmsLine:
    """Return where a DLMS meter is."""
    return DlmsLine(
        url=meter.url,
        client_sap=meter.client_sap,
        server_sap=meter.server_sap,
        physical_address=meter.physical_address,
        address_octets=meter.address_octets,
        window=meter.hdlc_window,
        optical_address=meter.optical_address,
    )


def installation(meter: ModbusMeterConfig) -> Installation:
    """Return what a Modbus meter is, and what stands before it."""
    return Installation(
        profile=load_profile(meter.profile), transformer_ratio=meter.transformer_ratio
    )


def _measured_as(meter: Meter) -> str:
    """Name all that a register's value hangs on: place, profile and ratio; secrets are no part."""
    profile = repr(installation(meter)) if isinstance(meter, ModbusMeterConfig) else ""
    return hashlib.sha256(f"{meter!r}{profile}".encode()).hexdigest()


def keeps_profile(meter: Meter) -> bool:
    """Return whether a meter's intervals can be read; its registers are sampled otherwise."""
    match meter:
        case DlmsMeterConfig():
            return True
        case OpticalMeterConfig():
            return meter.keeps_profile
        case ModbusMeterConfig() | SmlMeterConfig() | DsmrMeterConfig():
            return False
