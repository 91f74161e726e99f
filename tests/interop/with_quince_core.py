"""Reads a meter's profile with the association alone, over a plain socket: no edge, no disk."""

import socket
from random import SystemRandom
from typing import Any

from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.session import MeterSession
from quince.protocols.dlms.association.states import Associated, Reply
from quince.protocols.dlms.cosem.clock import MeterTime
from quince.protocols.dlms.cosem.profile import (
    PROFILE_BUFFER,
    PROFILE_COLUMNS,
    Layout,
    read_columns,
)
from quince.protocols.dlms.cosem.rows import ProfileRows, read_rows
from quince.protocols.dlms.links.hdlc import HdlcLink, Role
from quince.protocols.dlms.links.hdlc_frame import HdlcAddress
from quince.protocols.dlms.links.link import Link
from quince.protocols.dlms.links.wrapper import WrapperLink
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Authentication, Gmac, NoSecurity, Password
from quince.protocols.dlms.security.suite import Keys


class Session:
    """An association with the meter at a port of this machine; it lasts as long as its process."""

    def __init__(self, link: str, security: str, port: int, line: dict[str, Any]) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        association = ClientAssociation(
            _proof(security, line), rng=SystemRandom(), pdu_octets_max=line["pdu_octets_max"]
        )
        self._session = MeterSession(_link(link, line), association)
        self._session.start()
        self._wait_for(Associated)
        columns = read_columns(self._get(PROFILE_COLUMNS).require())
        self._layout = Layout(columns=columns, period_s=900)
        self._time = MeterTime(standard_offset_min=line["utc_offset_min"])

    def _get(self, ref: Ref) -> Reply:
        self._session.get(ref)
        reply: Reply = self._wait_for(Reply)
        return reply

    def _wait_for(self, kind: type) -> Any:
        while True:
            self._socket.sendall(self._session.data_to_send())
            for event in self._session.receive(self._socket.recv(65_536)):
                if isinstance(event, kind):
                    return event

    def columns(self) -> list[list[Any]]:
        """Return what the profile captures: class, name, attribute."""
        refs = (column.ref for column in self._layout.columns)
        return [[ref.class_id, str(ref.obis), ref.index] for ref in refs]

    def read_profile(self, columns: list[list[Any]]) -> ProfileRows:
        """Return all rows."""
        del columns
        return read_rows(self._get(PROFILE_BUFFER).value(), self._layout, self._time)

    def growth_wh(self, rows: ProfileRows) -> int:
        """Return what the register grew by from the first row to the last."""
        register = rows.integers(2)
        return (register[-1] or 0) - (register[0] or 0)


def _link(link: str, line: dict[str, Any]) -> Link:
    if link == "wrapper":
        return WrapperLink(own_port=line["client"], peer_port=line["server"])
    return HdlcLink(
        Role.CLIENT,
        client=HdlcAddress(upper=line["client"]),
        server=HdlcAddress(upper=line["server"]),
        information_octets_max=line["information_octets_max"],
    )


def _proof(security: str, line: dict[str, Any]) -> Authentication:
    match security:
        case "none":
            return NoSecurity()
        case "password":
            return Password(secret=bytes.fromhex(line["password"]))
        case _:
            keys = Keys(
                encryption=bytes.fromhex(line["encryption"]),
                authentication=bytes.fromhex(line["authentication"]),
            )
            title = b"QNG\0\0\0\0\2"
            return Gmac(system_title=title, keys=keys, counters=MemoryCounters())
