"""Reads a meter with dlms-cosem 21.3.2, the last release under the MIT licence.

It cannot select by entry, nor negotiate HDLC's frames, which stay at 128 octets.
"""

import logging
import os
from datetime import UTC, datetime
from typing import Any

import serial
from dlms_cosem import cosem, enumerations, utils
from dlms_cosem.clients.blocking_tcp_transport import BlockingTcpTransport
from dlms_cosem.clients.dlms_client import DataResultError, DlmsClient
from dlms_cosem.clients.hdlc_transport import SerialHdlcTransport
from dlms_cosem.cosem.capture_object import CaptureObject
from dlms_cosem.cosem.selective_access import RangeDescriptor
from dlms_cosem.hdlc.frames import HDLC_FLAG
from dlms_cosem.hdlc.state import NEED_DATA
from dlms_cosem.parsers import ProfileGenericBufferParser
from dlms_cosem.time import datetime_from_bytes

_CLOCK = [8, "0.0.1.0.0.255", 2]
_PROFILE = [7, "1.0.99.1.0.255", 2]
_ANSWER_S_MAX = 10


class _ByLength(SerialHdlcTransport):  # type: ignore[misc] # it has no types
    """Its HDLC, mended at one point: it waits for ever when a frame has 7E before its end."""

    def next_event(self) -> Any:
        connection = self.hdlc_connection
        while (event := connection.next_event()) is NEED_DATA:
            if HDLC_FLAG not in connection.buffer[connection.buffer_search_position :]:
                connection.receive_data(self._read_frame())
        return event

    def _read_frame(self) -> bytes:
        head: bytes = self._serial.read(3)
        rest: bytes = self._serial.read((int.from_bytes(head[1:], "big") & 0x7FF) - 1)
        return head + rest


class Session:
    """An association with the meter at a port of this machine."""

    def __init__(self, link: str, security: str, port: int, line: dict[str, Any]) -> None:
        logging.disable(logging.CRITICAL)  # it logs every frame, and the password in the AARQ
        self._client = DlmsClient(
            client_logical_address=line["client"],
            server_logical_address=line["server"],
            io_interface=_line(link, port, line),
            max_pdu_size=line["pdu_octets_max"],
            **_proof(security, line),
        )
        self._client.connect()
        self._client.associate()

    def _get(self, attribute: list[Any], selection: Any = None) -> bytes:
        octets: bytes = self._client.get(_attribute(attribute), selection)
        return octets

    def clock(self) -> str:
        """Return the meter's time, in UTC."""
        octets = bytes(utils.parse_as_dlms_data(self._get(_CLOCK)))
        moment: datetime = datetime_from_bytes(octets)[0]
        return moment.astimezone(UTC).isoformat()

    def register(self, obis: str) -> int:
        """Return a register's value."""
        return int(utils.parse_as_dlms_data(self._get([3, obis, 2])))

    def missing(self, obis: str) -> str:
        """Return how the meter refuses a register that it does not have."""
        try:
            return str(self.register(obis))
        except DataResultError as error:
            return str(error)

    def several(self, obis: list[str]) -> list[int]:
        """Return several registers' values, asked in one request."""
        asked = [
            cosem.CosemAttributeWithSelection(_attribute([3, one, 2]), access_selection=None)
            for one in obis
        ]
        answer = self._client.get_many(asked)
        return [int(one.value) for one in answer.response_data]

    def columns(self) -> list[list[Any]]:
        """Return what the profile captures: class, name, attribute."""
        captured = utils.parse_as_dlms_data(self._get([*_PROFILE[:2], 3]))
        return [
            [class_id, ".".join(map(str, name)), index] for class_id, name, index, _ in captured
        ]

    def read_profile(self, columns: list[list[Any]]) -> list[list[Any]]:
        """Return all rows, as the library gives them."""
        return _parse(columns, self._get(_PROFILE))

    def rows(self, rows: list[list[Any]]) -> list[list[Any]]:
        """Return rows with their time in UTC."""
        cells = ([cell.value for cell in row] for row in rows)
        return [[row[0].astimezone(UTC).isoformat(), *map(int, row[1:])] for row in cells]

    def growth_wh(self, rows: list[list[Any]]) -> int:
        """Return what the register grew by from the first row to the last."""
        return int(rows[-1][2].value - rows[0][2].value)

    def between(self, columns: list[list[Any]], first: str, last: str) -> list[list[Any]]:
        """Return the rows of a range."""
        bounds = (datetime.fromisoformat(moment) for moment in (first, last))
        selection = RangeDescriptor(CaptureObject(_attribute(_CLOCK)), *bounds)
        return self.rows(_parse(columns, self._get(_PROFILE, selection)))

    def close(self) -> None:
        """Release the association; not HDLC's link: it cannot read the plain UA that follows."""
        self._client.release_association()


def _line(link: str, port: int, line: dict[str, Any]) -> Any:
    ends = {
        "client_logical_address": line["client"],
        "server_logical_address": line["server"],
        "timeout": _ANSWER_S_MAX,
    }
    if link == "wrapper":
        return BlockingTcpTransport(host="127.0.0.1", port=port, **ends)
    stream = serial.serial_for_url(f"socket://127.0.0.1:{port}", timeout=_ANSWER_S_MAX)
    return _ByLength(**ends, serial_port="", serial=stream)


def _proof(security: str, line: dict[str, Any]) -> dict[str, Any]:
    match security:
        case "none":
            return {}
        case "password":
            lls = enumerations.AuthenticationMechanism.LLS
            return {"authentication_method": lls, "password": bytes.fromhex(line["password"])}
        case _:
            return {
                "authentication_method": enumerations.AuthenticationMechanism.HLS_GMAC,
                "encryption_key": bytes.fromhex(line["encryption"]),
                "authentication_key": bytes.fromhex(line["authentication"]),
                "client_system_title": os.urandom(8),
                "client_initial_invocation_counter": 1,
            }


def _attribute(attribute: list[Any]) -> Any:
    class_id, obis, index = attribute
    return cosem.CosemAttribute(
        interface=enumerations.CosemInterface(class_id),
        instance=cosem.Obis(*map(int, obis.split("."))),
        attribute=index,
    )


def _parse(columns: list[list[Any]], octets: bytes) -> list[list[Any]]:
    parser = ProfileGenericBufferParser([_attribute(one) for one in columns], capture_period=15)
    rows: list[list[Any]] = parser.parse_bytes(octets)
    return rows
