"""Modbus frames as layers: TCP behind its header, RTU before its check sequence.

The wire is pymodbus's. A frame does not say whether it asks or answers; it is what, written
again, gives the same octets.
"""

import struct

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

from quince.edge.commissioning.layer import Layer
from quince.model.errors import CodecError
from quince.protocols.dlms.encoding.reader import Reader

_HEADER_OCTETS = 7
_CHECK_OCTETS = 2
# Unit and function code, and the check sequence.
_RTU_OCTETS_MIN = 4
_EXCEPTION = 0x80
_FUNCTIONS = {
    1: "read coils",
    2: "read discrete inputs",
    3: "read holding registers",
    4: "read input registers",
    5: "write single coil",
    6: "write single register",
    15: "write multiple coils",
    16: "write multiple registers",
    43: "read device identification",
}
_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    10: "gateway path unavailable",
    11: "gateway target does not answer",
}


def is_modbus_tcp(octets: bytes) -> bool:
    """Whether `octets` are exactly one frame behind a Modbus TCP header."""
    if len(octets) <= _HEADER_OCTETS or octets[2:4] != b"\x00\x00":
        return False
    return int.from_bytes(octets[4:6], "big") == len(octets) - 6


def is_modbus_rtu(octets: bytes) -> bool:
    """Whether the last two octets are the check sequence of those before."""
    if len(octets) < _RTU_OCTETS_MIN:
        return False
    check = FramerRTU.compute_CRC(octets[:-_CHECK_OCTETS])
    return check.to_bytes(_CHECK_OCTETS, "big") == octets[-_CHECK_OCTETS:]


def explain_tcp(octets: bytes) -> Layer:
    """Explain one Modbus TCP frame; CodecError if its function is not known."""
    reader = Reader(octets)
    transaction, _protocol, length = reader.uint(2), reader.uint(2), reader.uint(2)
    unit = reader.octet()
    fields = (("transaction", str(transaction)), ("length", str(length)), ("unit", str(unit)))
    return Layer(name="Modbus TCP", fields=fields, inner=_explain(reader.rest()))


def explain_rtu(octets: bytes) -> Layer:
    """Explain one Modbus RTU frame; CodecError if its function is not known."""
    fields = (("unit", str(octets[0])), ("check sequence", octets[-_CHECK_OCTETS:].hex() + " fits"))
    return Layer(name="Modbus RTU", fields=fields, inner=_explain(octets[1:-_CHECK_OCTETS]))


def _explain(pdu: bytes) -> tuple[Layer, ...]:
    fitting = [
        (role, one)
        for role, server in (("request", True), ("response", False))
        if (one := DecodePDU(server).decode(pdu)) is not None and _writes_again(one, pdu)
    ]
    if not fitting:
        raise CodecError(f"no Modbus function: {pdu.hex()}")
    role, decoded = fitting[0]
    # A write is answered by its echo.
    roles = role if len(fitting) == 1 else "request, or its echo"
    if isinstance(decoded, ExceptionResponse):
        return (_exception(decoded),)
    name = _FUNCTIONS.get(pdu[0], f"function {pdu[0]}")
    return (Layer(name=f"{name}: {roles}", fields=tuple(_fields(role, decoded))),)


def _writes_again(decoded: ModbusPDU, pdu: bytes) -> bool:
    # The library counts the room of an identification while it writes, and so cannot write twice.
    if isinstance(decoded, ReadDeviceInformationResponse):
        return True
    try:
        return decoded.encode() == pdu[1:]
    except (ValueError, struct.error):  # it reads what it refuses to write
        return False


def _exception(decoded: ExceptionResponse) -> Layer:
    code = decoded.exception_code
    asked = decoded.function_code & ~_EXCEPTION
    return Layer(
        name=f"exception to {_FUNCTIONS.get(asked, f'function {asked}')}",
        fields=(("code", f"{code} {_EXCEPTIONS.get(code, '')}".rstrip()),),
    )


def _fields(role: str, decoded: ModbusPDU) -> list[tuple[str, str]]:
    fields = []
    if role == "request":
        fields += [("address", str(decoded.address)), ("count", str(decoded.count))]
    if decoded.registers:
        words = " ".join(f"{register:04x}" for register in decoded.registers)
        fields.append(("registers", words))
    if decoded.bits:
        fields.append(("bits", "".join("1" if bit else "0" for bit in decoded.bits)))
    for number, told in getattr(decoded, "information", {}).items():
        texts = told if isinstance(told, list) else [told]  # of an object told more than once
        fields += [(f"object {number}", octets.decode("latin-1")) for octets in texts]
    return fields
