"""Reads a meter with the Gurux client (`gurux-dlms`, GPL-2.0).

Law: nothing but `read_meter.py`, a process of its own, ever imports this module: what Quince ships
and what tests it stay free of that licence.
"""

import os
import socket
from datetime import UTC, datetime
from typing import Any

from gurux_dlms import GXByteBuffer, GXDLMSException, GXReplyData
from gurux_dlms.enums import Authentication, InterfaceType, Security
from gurux_dlms.objects import (
    GXDLMSCaptureObject,
    GXDLMSClock,
    GXDLMSData,
    GXDLMSProfileGeneric,
    GXDLMSRegister,
)
from gurux_dlms.secure import GXDLMSSecureClient

ANSWER_S_MAX = 10
_AUTHENTICATION = {
    "none": Authentication.NONE,
    "password": Authentication.LOW,
    "gmac": Authentication.HIGH_GMAC,
}
_LINK = {"wrapper": InterfaceType.WRAPPER, "hdlc": InterfaceType.HDLC}
_CLASS = {1: GXDLMSData, 3: GXDLMSRegister, 8: GXDLMSClock}


class Session:
    """An association with the meter at a port of this machine."""

    def __init__(self, link: str, security: str, port: int, line: dict[str, Any]) -> None:
        self._is_hdlc = link == "hdlc"
        secret = bytes.fromhex(line["password"]) if security == "password" else None
        self._client = GXDLMSSecureClient(
            useLogicalNameReferencing=True,
            clientAddress=line["client"],
            serverAddress=line["server"],
            forAuthentication=_AUTHENTICATION[security],
            password=secret,
            interfaceType=_LINK[link],
        )
        self._client.maxReceivePDUSize = line["pdu_octets_max"]
        self._client.hdlcSettings.maxInfoRX = line["information_octets_max"]
        self._client.hdlcSettings.maxInfoTX = line["information_octets_max"]
        if security == "gmac":
            self._cipher(line)
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S_MAX)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open(security)

    def _cipher(self, line: dict[str, Any]) -> None:
        ciphering = self._client.ciphering
        ciphering.security = Security.AUTHENTICATION_ENCRYPTION
        ciphering.blockCipherKey = bytearray.fromhex(line["encryption"])
        ciphering.authenticationKey = bytearray.fromhex(line["authentication"])
        ciphering.systemTitle = bytearray(os.urandom(8))
        ciphering.invocationCounter = 1

    def _open(self, security: str) -> None:
        if self._is_hdlc:
            reply = GXReplyData()
            self._exchange(self._client.snrmRequest(), reply)
            self._client.parseUAResponse(reply.data)
        self._client.parseAareResponse(self._ask(self._client.aarqRequest()).data)
        if security == "gmac":
            reply = self._ask(self._client.getApplicationAssociationRequest())
            self._client.parseApplicationAssociationResponse(reply.data)

    def _exchange(self, message: bytes, reply: Any) -> None:
        self._socket.sendall(message)
        heard = GXByteBuffer()
        while not self._client.getData(heard, reply, None):
            octets = self._socket.recv(65_536)
            if not octets:
                raise EOFError("the meter closed the connection")
            heard.set(octets)

    def _ask(self, messages: Any) -> Any:
        reply = GXReplyData()
        for message in messages if isinstance(messages, list) else [messages]:
            reply.clear()
            self._exchange(message, reply)
            while reply.isMoreData():
                self._exchange(self._client.receiverReady(reply), reply)
            if reply.error:
                raise GXDLMSException(reply.error)
        return reply

    def _get(self, thing: Any, index: int) -> Any:
        reply = self._ask(self._client.read(thing, index))
        return self._client.updateValue(thing, index, reply.value)

    def clock(self) -> str:
        """Return the meter's time, in UTC."""
        return _utc(self._get(GXDLMSClock("0.0.1.0.0.255"), 2))

    def register(self, obis: str) -> int:
        """Return a register's value."""
        return int(self._get(GXDLMSRegister(obis), 2))

    def missing(self, obis: str) -> str:
        """Return how the meter refuses a register that it does not have."""
        try:
            return str(self.register(obis))
        except GXDLMSException as error:
            return str(error)

    def several(self, obis: list[str]) -> list[int]:
        """Return several registers' values, asked in one request."""
        things = [(GXDLMSRegister(one), 2) for one in obis]
        (message,) = self._client.readList(things)
        return [int(value) for value in self._ask(message).value]

    def columns(self) -> list[list[Any]]:
        """Return what the profile captures: class, name, attribute."""
        profile = GXDLMSProfileGeneric("1.0.99.1.0.255")
        self._get(profile, 3)
        return [
            [int(thing.objectType), thing.logicalName, captured.attributeIndex]
            for thing, captured in profile.captureObjects
        ]

    def read_profile(self, columns: list[list[Any]]) -> list[list[Any]]:
        """Return all rows, as the library gives them."""
        rows: list[list[Any]] = self._get(_profile(columns), 2)
        return rows

    def rows(self, rows: list[list[Any]]) -> list[list[Any]]:
        """Return rows with their time in UTC."""
        return [[_utc(row[0]), *map(int, row[1:])] for row in rows]

    def growth_wh(self, rows: list[list[Any]]) -> int:
        """Return what the register grew by from the first row to the last."""
        return int(rows[-1][2] - rows[0][2])

    def between(self, columns: list[list[Any]], first: str, last: str) -> list[list[Any]]:
        """Return the rows of a range."""
        profile = _profile(columns)
        bounds = (datetime.fromisoformat(moment) for moment in (first, last))
        reply = self._ask(self._client.readRowsByRange(profile, *bounds))
        return self.rows(self._client.updateValue(profile, 2, reply.value))

    def entries(self, columns: list[list[Any]], first: int, count: int) -> list[list[Any]]:
        """Return rows by number."""
        profile = _profile(columns)
        reply = self._ask(self._client.readRowsByEntry(profile, first, count))
        return self.rows(self._client.updateValue(profile, 2, reply.value))

    def close(self) -> None:
        """Release the association, and the link."""
        self._ask(self._client.releaseRequest())
        if self._is_hdlc:
            self._ask(self._client.disconnectRequest())
        self._socket.close()


def _profile(columns: list[list[Any]]) -> Any:
    profile = GXDLMSProfileGeneric("1.0.99.1.0.255")
    profile.captureObjects += [
        (_CLASS[class_id](obis), GXDLMSCaptureObject(index, 0)) for class_id, obis, index in columns
    ]
    return profile


def _utc(moment: Any) -> str:
    aware: datetime = moment.value
    return aware.astimezone(UTC).isoformat()
