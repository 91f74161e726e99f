"""The HDLC link of DLMS over serial lines, optical heads and TCP: client and server in one.

Law: one side speaks at a time. The client (primary) gives the turn away with the poll bit of the
last frame of its flight, the server (secondary) gives it back with the final bit of its own. What
the side whose turn it becomes has not acknowledged by then was lost, and goes out again: the
frames from N(R) on. So every APDU arrives once and in order, or the link ends with an error.

    client                                  server
    SNRM (sizes, windows) ───────────────▶
         ◀─────────────────────────────────  UA (the smaller of both)
    I(0) I(1) I(2,P) ────────────────────▶
         ◀─────────────────────────────────  I(0) I(1,F), or RR, RNR, REJ (F)
    RR(P): go on; or the next request ───▶
"""

from collections import deque
from enum import Enum, auto
from typing import NoReturn

from quince.model.errors import (
    CodecError,
    InvalidValueError,
    LocalProtocolError,
    RemoteProtocolError,
)
from quince.protocols.dlms.links import hdlc_control as control
from quince.protocols.dlms.links.hdlc_control import POLL
from quince.protocols.dlms.links.hdlc_frame import (
    OVERHEAD_OCTETS_MAX,
    Frame,
    FrameReader,
    HdlcAddress,
)
from quince.protocols.dlms.links.hdlc_numbered import Receiving, Segment, Sending
from quince.protocols.dlms.links.hdlc_parameters import (
    INFORMATION_OCTETS_DEFAULT,
    WINDOW_DEFAULT,
    Parameters,
    decode_parameters,
)
from quince.protocols.dlms.links.hdlc_patience import Patience
from quince.protocols.dlms.links.hdlc_unnumbered import LLC, UnnumberedAssembly
from quince.protocols.dlms.links.link import (
    ApduReceived,
    Connected,
    Disconnected,
    Link,
    LinkEvent,
    Transmit,
    UnnumberedReceived,
)


class Role(Enum):
    """Who opens the link and polls."""

    CLIENT = auto()
    SERVER = auto()


class _State(Enum):
    DISCONNECTED = auto()
    CONNECTING = auto()
    CONNECTED = auto()
    REJECTING = auto()
    DISCONNECTING = auto()


class HdlcLink(Link):
    """One side of an HDLC link. A server learns its client's address from the SNRM.

    `information_octets_max` is what this side sends and receives in one frame, `window` how many
    frames in a row; the two sides agree on the smaller. Frames that do not verify, or are for
    others, are passed over: the client repeats (`retransmit`) when no answer comes.

    `is_busy` is a server's to set: while it is, RNR is said, and what arrives is left to be sent
    again. A client needs no such word: it does not poll.
    """

    def __init__(
        self,
        role: Role,
        *,
        server: HdlcAddress,
        client: HdlcAddress | None = None,
        information_octets_max: int = INFORMATION_OCTETS_DEFAULT,
        window: int = WINDOW_DEFAULT,
    ) -> None:
        if role is Role.CLIENT and client is None:
            raise InvalidValueError("hdlc.client", client, "a client knows its own address")
        for name, address in (("server", server), ("client", client)):
            if address is not None and not address.is_one_station:
                raise InvalidValueError(f"hdlc.{name}", address, "reserved, not one station's")
        self._role = role
        self._server, self._client = server, client
        self._own = Parameters(
            send_octets=information_octets_max,
            receive_octets=information_octets_max,
            send_window=window,
            receive_window=window,
        )
        self._reader = FrameReader(
            max(information_octets_max, INFORMATION_OCTETS_DEFAULT) + OVERHEAD_OCTETS_MAX
        )
        self._events: deque[LinkEvent] = deque()  # of one frame: two at most
        self._unnumbered = UnnumberedAssembly()
        self.is_busy = False
        self._begin(_State.DISCONNECTED)

    def _begin(self, state: _State, agreed: Parameters | None = None) -> None:
        self._state = state
        self._sending, self._receiving = Sending(), Receiving()
        if agreed is not None:
            self._sending.octets, self._sending.window = agreed.send_octets, agreed.send_window
        # Whose turn it is: a client's from the start, a server's when it is polled.
        self._has_turn = self._role is Role.CLIENT and state is _State.CONNECTED
        self._peer_is_busy = False
        self._command = b""  # what opens or closes the link, or rejects, to be said again
        self._patience = Patience()

    @property
    def is_connected(self) -> bool:
        """Whether APDUs may be sent."""
        return self._state is _State.CONNECTED

    # -- what leaves ---------------------------------------------------------------------

    def connect(self) -> bytes:
        """Return the SNRM, with our parameters if they are not the default."""
        self._begin(_State.CONNECTING)
        self._command = self._frame(control.SNRM | POLL, self._own.propose())
        return self._command

    def send(self, apdu: bytes) -> bytes:
        """Return the first flight of `apdu`; nothing if we must be given the turn first.

        The rest follows the peer's acknowledgements, as Transmit events.
        """
        if self._state is not _State.CONNECTED:
            raise LocalProtocolError("the link is not connected")
        self._sending.queue(LLC[self._role is Role.CLIENT] + apdu)
        self._patience.renew()
        return self._take_turn()

    def send_unnumbered(self, apdu: bytes) -> bytes:
        """Return a UI frame for the other side, who need not be connected.

        InvalidValueError if it is too long for one frame.
        """
        return self._frame(control.UI, LLC[self._role is Role.CLIENT] + apdu)

    def retransmit(self) -> bytes:
        """Return what a client says when the answer is late: all it has not seen acknowledged.

        Where nothing is, or the server said that it is not ready, it polls. RemoteProtocolError
        when that was tried enough. A server says nothing: it speaks when it is polled.
        """
        if self._role is Role.SERVER:
            return b""
        self._patience.repeat()
        # What began in noise must not swallow the repetition's answer.
        self._reader.clear()
        if self._state is not _State.CONNECTED:
            return self._command
        if self._sending.is_under_way and not self._peer_is_busy:
            return self._fly()
        return self._supervise(control.READY)

    def keep_alive(self) -> bytes:
        """Return a poll if this is an idle client: a server forgets whom it does not hear."""
        idle = self._has_turn and self._sending.is_done
        if self._role is Role.SERVER or not self.is_connected or not idle:
            return b""
        self._patience.renew()
        return self._supervise(control.READY)

    def expire(self) -> None:
        """Disconnect a server that heard nothing for its inactivity time; its client may be dead.

        A client goes on: it finds out when it asks.
        """
        if self._role is Role.SERVER:
            self._begin(_State.DISCONNECTED)

    def disconnect(self) -> bytes:
        """Return the DISC, or nothing if the link is down already."""
        if self._state is _State.DISCONNECTED:
            return b""
        self._begin(_State.DISCONNECTING)
        self._command = self._frame(control.DISC | POLL)
        return self._command

    def _take_turn(self) -> bytes:
        """Return what we say if it is our turn; a client that has nothing to say keeps it."""
        if not self._has_turn:
            return b""
        if not self._sending.is_done and not self._peer_is_busy:
            return self._fly()
        if self._role is Role.SERVER:
            # A REJ only from here: meters need not know it, and take a RR for the same.
            return self._supervise(control.REJECT if self._receiving.has_gap else control.READY)
        if self._receiving.is_partial or self._receiving.has_gap:
            return self._supervise(control.READY)
        return b""

    def _fly(self) -> bytes:
        self._has_turn = False
        flight, expected = self._sending.flight(), self._receiving.next_number
        frames = (
            self._frame(
                control.information(
                    number=segment.number, expected=expected, poll=segment is flight[-1]
                ),
                segment.information,
                segmented=segment.more,
            )
            for segment in flight
        )
        return b"".join(frames)

    def _supervise(self, kind: int) -> bytes:
        self._has_turn = False
        kind = control.NOT_READY if self.is_busy else kind
        return self._frame(control.supervisory(kind, expected=self._receiving.next_number))

    def _frame(self, octet: int, information: bytes = b"", *, segmented: bool = False) -> bytes:
        if self._client is None:
            raise LocalProtocolError("no client has connected")
        ends = (self._server, self._client)
        destination, source = ends if self._role is Role.CLIENT else ends[::-1]
        return Frame(
            destination=destination,
            source=source,
            control=octet,
            information=information,
            segmented=segmented,
        ).encode()

    # -- what arrives --------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Keep octets of the line."""
        self._reader.receive_data(data)

    def next_event(self) -> LinkEvent | None:
        """Return the next event; RemoteProtocolError if the peer's counting and ours differ.

        A server that was polled and was given nothing to say until now gives the turn back here.
        """
        while not self._events:
            if octets := self._take_turn():
                return Transmit(octets=octets)
            frame = self._reader.next_frame()
            if frame is None:
                return None
            self._on_frame(frame)
        return self._events.popleft()

    def _on_frame(self, frame: Frame) -> None:
        if control.unnumbered_kind(frame.control) == control.UI:
            self._on_unnumbered_information(frame)
        elif not self._is_for_us(frame):
            return
        elif self._role is Role.SERVER:
            self._on_command(frame)
        else:
            self._on_response(frame)

    def _is_for_us(self, frame: Frame) -> bool:
        if self._role is Role.CLIENT:
            return (frame.destination, frame.source) == (self._client, self._server)
        mine = frame.destination == self._server
        return mine and (self._state is not _State.CONNECTED or frame.source == self._client)

    def _on_unnumbered_information(self, frame: Frame) -> None:
        own = self._client if self._role is Role.CLIENT else self._server
        if own is None or not frame.destination.reaches(own):
            return
        apdu = self._unnumbered.take(frame)
        if apdu is not None:
            self._events.append(UnnumberedReceived(apdu=apdu))

    def _on_command(self, frame: Frame) -> None:
        command = control.unnumbered_kind(frame.control)
        if command == control.SNRM:
            self._on_snrm(frame)
        elif self._state is _State.DISCONNECTED:
            self._on_stranger(frame)
        elif command == control.DISC:
            self._begin(_State.DISCONNECTED)
            self._events += (Transmit(octets=self._frame(control.UA | POLL)), Disconnected())
        elif self._state is _State.REJECTING:
            self._transmit_if_polled(frame, self._command)
        else:
            self._on_numbered(frame)

    def _on_response(self, frame: Frame) -> None:
        response = control.unnumbered_kind(frame.control)
        if response == control.UA:
            self._on_ua(frame)
        elif response == control.DM:
            if self._state is not _State.DISCONNECTED:
                self._begin(_State.DISCONNECTED)
                self._events.append(Disconnected())
        elif self._state is _State.CONNECTED:
            if response == control.FRMR:
                self._begin(_State.DISCONNECTED)
                raise RemoteProtocolError(f"the meter rejects a frame: {frame.information.hex()}")
            self._on_numbered(frame)

    def _on_snrm(self, frame: Frame) -> None:
        agreed = self._own.agreed_with(decode_parameters(frame.information))
        self._server, self._client = frame.destination, frame.source
        self._begin(_State.CONNECTED, agreed)
        ua = self._frame(control.UA | POLL, agreed.encode())
        self._events += (Transmit(octets=ua), Connected())

    def _on_ua(self, frame: Frame) -> None:
        if self._state is _State.DISCONNECTING:
            self._begin(_State.DISCONNECTED)
            self._events.append(Disconnected())
        elif self._state is _State.CONNECTING:
            agreed = self._own.agreed_with(decode_parameters(frame.information))
            self._begin(_State.CONNECTED, agreed)
            self._events.append(Connected())

    def _on_stranger(self, frame: Frame) -> None:
        """Tell a client that never connected, or whom we forgot, that we are disconnected."""
        self._client = frame.source
        self._transmit_if_polled(frame, self._frame(control.DM | POLL))

    def _transmit_if_polled(self, frame: Frame, octets: bytes) -> None:
        if frame.control & POLL:
            self._events.append(Transmit(octets=octets))

    def _on_numbered(self, frame: Frame) -> None:
        is_information = control.is_information(frame.control)
        kind = None if is_information else control.supervisory_kind(frame.control)
        if not is_information and kind is None:
            self._reject(frame, control.UNKNOWN_CONTROL)
            return
        try:
            news = self._sending.acknowledge(control.expected_number(frame.control))
        except RemoteProtocolError:
            self._reject(frame, control.WRONG_ACKNOWLEDGEMENT)
            return
        self._peer_is_busy = kind == control.NOT_READY
        is_new = is_information and self._take(frame)
        if news or is_new:
            self._patience.renew()
        is_late = is_information and not (is_new or news or self._receiving.has_gap)
        if frame.control & POLL and not (is_late and self._role is Role.CLIENT):
            self._has_turn = True
            if self._role is Role.CLIENT and not (news or is_new):
                self._count_fruitless()

    def _take(self, frame: Frame) -> bool:
        """Take an I frame's information; return whether it was new."""
        expected = self._receiving.next_number
        if self.is_busy:
            return False
        octets = self._receiving.take(
            Segment(
                number=control.sent_number(frame.control),
                information=frame.information,
                more=frame.segmented,
            )
        )
        if octets is not None:
            header = LLC[self._role is Role.SERVER]
            if not octets.startswith(header):
                raise CodecError(f"LLC header {octets[:3].hex()}")
            self._events.append(ApduReceived(apdu=octets[len(header) :]))
        return self._receiving.next_number != expected

    def _count_fruitless(self) -> None:
        """Bound the answers that say nothing new: to frames, and to polls."""
        if self._sending.is_under_way and not self._peer_is_busy:
            self._patience.repeat()
        else:
            self._patience.wait()

    def _reject(self, frame: Frame, reason: int) -> None:
        """Refuse a frame no repetition mends: a server with FRMR, until it is connected anew."""
        if self._role is Role.CLIENT:
            self._give_up(frame)
        counts = self._receiving.next_number << 5 | self._sending.next_number << 1
        self._begin(_State.REJECTING)
        refused = bytes((frame.control, counts, reason))
        self._command = self._frame(control.FRMR | POLL, refused)
        self._events.append(Transmit(octets=self._command))

    def _give_up(self, frame: Frame) -> NoReturn:
        raise RemoteProtocolError(f"control {frame.control:#04x} out of count, or not spoken here")
