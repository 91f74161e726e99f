"""Searches one serial line: the plan walked, each answer made a line of a configuration."""

import termios

from quince.edge.commissioning.scan.found import Found, Watcher
from quince.edge.commissioning.scan.plan import Family, Probe, Scope, Setting, plan
from quince.edge.commissioning.scan.probes import Answer, ask_dlms, ask_modbus, listen, sign_on
from quince.edge.commissioning.scan.recognition import recognise
from quince.edge.readers.dlms.line import DlmsLine
from quince.edge.readers.modbus.line import ModbusLine
from quince.edge.transports.serial import SerialTransport
from quince.model.rng import Rng
from quince.protocols.optical.line import PUSH_BAUD, transmission_s

# How long each question is waited for, besides the time its characters take. SML is pushed every
# four seconds at most, P1 every ten before DSMR 5.
_LISTEN_S = {115_200: 11.0}
_LISTEN_S_USUAL = 5.0
_SIGN_ON_S = 2.5  # the standard's longest reaction, and the identification at 300 baud
_HDLC_S, _MODBUS_S = 0.6, 0.25
_HDLC_OCTETS, _MODBUS_OCTETS = 80, 16
_PUBLIC_CLIENT, _MANAGEMENT_DEVICE = 16, 1


class _TunedLine(SerialTransport):
    """A serial port that is set anew for each question."""

    async def tune(self, setting: Setting) -> bool:
        """Set baud and parity, and forget what came before; False if the port cannot that."""
        try:
            self._port.parity = setting.parity
        except termios.error:
            self._port.parity = "N"
            return False
        await self.set_line(setting.baud, seven_bits=setting.seven_bits, echoes=False)
        self._port.reset_input_buffer()
        return True


async def search_line(path: str, scope: Scope, watcher: Watcher, rng: Rng) -> None:
    """Walk the plan over the port at `path`; TransportError if it cannot be opened, or breaks."""
    answered: set[Probe] = set()
    total = sum(1 for _ in plan(scope, ()))
    for done, probe in enumerate(plan(scope, answered)):
        watcher.progress(done, total, str(probe))
        answer = await _asked(path, probe, rng)
        if answer is not None:
            answered.add(probe)
            # A Modbus meter is asked for its names over a line of pymodbus's own.
            is_modbus = probe.family is Family.MODBUS
            watcher.found(await _modbus(path, probe) if is_modbus else _found(path, probe, answer))
    watcher.progress(total, total, "")


async def _asked(path: str, probe: Probe, rng: Rng) -> Answer | None:
    line = _TunedLine.open(path, baud=probe.setting.baud, seven_bits=False)
    try:
        return await _ask(line, path, probe, rng) if await line.tune(probe.setting) else None
    finally:
        await line.aclose()


async def _ask(line: _TunedLine, path: str, probe: Probe, rng: Rng) -> Answer | None:
    baud = probe.setting.baud
    match probe.family:
        case Family.LISTEN:
            return await listen(line, _LISTEN_S.get(baud, _LISTEN_S_USUAL))
        case Family.SIGN_ON:
            return await sign_on(line, _SIGN_ON_S)
        case Family.HDLC:
            url = f"serial:{path}?baud={baud}"
            asked = dlms_line(url, probe.address, probe.octets)
            within_s = _HDLC_S + transmission_s(_HDLC_OCTETS, baud)
            return await ask_dlms(line, asked, rng, within_s)
        case Family.MODBUS:
            within_s = _MODBUS_S + transmission_s(_MODBUS_OCTETS, baud)
            return await ask_modbus(line, probe.address, within_s, rtu=True)


def dlms_line(url: str, lower: int, octets: int) -> DlmsLine:
    """Return where the public client finds a meter's management device."""
    return DlmsLine(
        url=url,
        client_sap=_PUBLIC_CLIENT,
        server_sap=_MANAGEMENT_DEVICE,
        physical_address=lower or None,
        address_octets=octets if lower else None,
    )


def _found(path: str, probe: Probe, answer: Answer) -> Found:
    baud = probe.setting.baud
    kind, url = answer.kind, f"serial:{path}"
    fields: dict[str, int | str] = {}
    if kind == "optical":
        url = f"optical:{path}"
    elif kind == "dsmr" and baud == PUSH_BAUD:
        kind, url, fields = "optical", f"optical:{path}", {"mode": "d"}
    elif kind == "dsmr":
        fields = {"baud": baud}
    elif kind == "dlms":
        url, fields = f"{url}?baud={baud}", dlms_fields(probe.address, probe.octets)
    return Found(kind=kind, url=url, fields=fields, identity=answer.identity, remark=answer.remark)


def dlms_fields(lower: int, octets: int) -> dict[str, int | str]:
    """Return how a meter is addressed, in a configuration's words."""
    fields: dict[str, int | str] = {
        "client_sap": _PUBLIC_CLIENT,
        "server_sap": _MANAGEMENT_DEVICE,
    }
    if lower:
        fields |= {"physical_address": lower, "address_octets": octets}
    return fields


async def _modbus(path: str, probe: Probe) -> Found:
    setting = probe.setting
    url = f"modbus+rtu:{path}?baud={setting.baud}&parity={setting.parity}"
    return await recognise(ModbusLine(url=url, device_id=probe.address))
