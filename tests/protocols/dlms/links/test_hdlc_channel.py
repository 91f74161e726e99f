"""Two links over a line that loses, repeats, spoils and cuts: every APDU once, or an error."""

from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import RemoteProtocolError
from quince.protocols.dlms.links.hdlc import HdlcLink, Role
from quince.protocols.dlms.links.hdlc_frame import FrameReader, HdlcAddress
from quince.protocols.dlms.links.link import ApduReceived, Connected, Link, Transmit

# Enough for three repetitions of every flight of a sixteen-octet link with window 1.
STEPS_MAX = 20_000


@dataclass
class Line:
    """One direction of a wire: it keeps the order, and nothing else for sure."""

    chances: Random
    loss: float
    pending: bytearray = field(default_factory=bytearray)

    def carry(self, octets: bytes) -> None:
        fate = self.chances.random()
        spoilt = bytearray(octets)
        spoilt[self.chances.randrange(len(octets))] ^= 1 << self.chances.randrange(8)
        harms = [b"", bytes(spoilt), octets[: len(octets) // 2], octets * 2]
        self.pending += self.chances.choice(harms) if fate < self.loss else octets

    def take(self) -> bytes:
        count = self.chances.randint(1, 2 * len(self.pending))
        taken = bytes(self.pending[:count])
        del self.pending[:count]
        return taken


class Conversation:
    """A client that sends each request behind the last answer, and a server that answers."""

    def __init__(
        self, client: Link, server: Link, chances: Random, loss: float, requests: list[bytes]
    ) -> None:
        self.client, self.server = client, server
        self.there, self.back = Line(chances, loss), Line(chances, loss)
        self.requests = requests
        self.heard: list[bytes] = []
        self.answers: list[bytes] = []

    def run(self) -> None:
        self._write(self.there, self.client.connect())
        for _ in range(STEPS_MAX):
            if len(self.answers) == len(self.requests):
                return
            self._step()
        raise AssertionError("neither an end nor an error")

    def _step(self) -> None:
        if self.there.pending:
            self._serve(self.there.take())
        elif self.back.pending:
            self._hear(self.back.take())
        else:
            self._write(self.there, self.client.retransmit())

    def _serve(self, octets: bytes) -> None:
        self.server.receive_data(octets)
        while (event := self.server.next_event()) is not None:
            match event:
                case Transmit(octets=written):
                    self._write(self.back, written)
                case ApduReceived(apdu=apdu):
                    self.heard.append(apdu)
                    self._write(self.back, self.server.send(apdu[::-1]))
                case _:
                    pass

    def _hear(self, octets: bytes) -> None:
        self.client.receive_data(octets)
        while (event := self.client.next_event()) is not None:
            match event:
                case Transmit(octets=written):
                    self._write(self.there, written)
                case Connected():
                    self._ask()
                case ApduReceived(apdu=apdu):
                    self.answers.append(apdu)
                    self._ask()
                case _:
                    pass

    def _ask(self) -> None:
        for request in self.requests[len(self.answers) :][:1]:
            self._write(self.there, self.client.send(request))

    @staticmethod
    def _write(line: Line, octets: bytes) -> None:
        for frame in FrameReader().feed(octets):
            line.carry(frame.encode())


def _links(
    client_octets: int, server_octets: int, client_window: int, server_window: int
) -> tuple[HdlcLink, HdlcLink]:
    address = HdlcAddress(upper=1, lower=17)
    client = HdlcLink(
        Role.CLIENT,
        server=address,
        client=HdlcAddress(upper=16),
        information_octets_max=client_octets,
        window=client_window,
    )
    server = HdlcLink(
        Role.SERVER, server=address, information_octets_max=server_octets, window=server_window
    )
    return client, server


SIZES, WINDOWS = st.sampled_from([16, 17, 128, 1024]), st.integers(1, 7)


@settings(max_examples=150)
@given(
    st.tuples(SIZES, SIZES, WINDOWS, WINDOWS),
    st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=4),
    st.sampled_from([0.01, 0.05, 0.2, 0.6]),
    st.integers(0, 2**32),
)
def test_every_apdu_arrives_once_and_in_order_or_the_link_ends_with_an_error(
    shape: tuple[int, int, int, int], requests: list[bytes], loss: float, seed: int
) -> None:
    client, server = _links(*shape)
    talk = Conversation(client, server, Random(seed), loss, requests)
    with suppress(RemoteProtocolError):
        talk.run()
    assert talk.heard == requests[: len(talk.heard)]
    assert talk.answers == [request[::-1] for request in talk.heard[: len(talk.answers)]]


@pytest.mark.parametrize("window", [1, 3, 7])
def test_a_line_that_spoils_a_frame_in_fifty_costs_nothing_but_time(window: int) -> None:
    requests = [Random(number).randbytes(2_000) for number in range(5)]
    client, server = _links(128, 128, window, window)
    talk = Conversation(client, server, Random(1), 0.02, requests)
    talk.run()
    assert talk.heard == requests
    assert talk.answers == [request[::-1] for request in requests]
