"""What reads optical heads and consumers' ports: IEC 62056-21 both ways, SML, P1."""

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from quince.model.errors import CodecError, LocalProtocolError, RemoteProtocolError
from quince.protocols.optical.dsmr import objects as dsmr
from quince.protocols.optical.dsmr.encryption import SealedTelegramReader, TelegramKey, seal
from quince.protocols.optical.iec62056_21 import datasets, messages, profile
from quince.protocols.optical.iec62056_21.client import Client, Damaged, NotUnderstood, Part
from quince.protocols.optical.iec62056_21.messages import Mode
from quince.protocols.optical.iec62056_21.server import (
    Asked,
    Event,
    Left,
    PasswordGiven,
    Selected,
    Server,
    SignedOn,
    Told,
)
from quince.protocols.optical.line import check_parity
from quince.protocols.optical.sml import fields
from quince.protocols.optical.sml.messages import cumulative_registers, parse_lists
from quince.protocols.optical.sml.transport import FileReader, render_file
from quince.protocols.optical.telegram import Telegram, TelegramReader

Take = Callable[[bytes], object]

EVENTS_MAX = 50_000  # of one input: more than it has octets is a loop
KEY = TelegramKey(encryption=bytes(16))


def _text(parse: Callable[[str], object]) -> Take:
    return lambda octets: parse(octets.decode("latin-1"))


def _with_check(octets: bytes) -> bytes:
    """Return a message whose check character fits."""
    check = 0
    for octet in octets[1:]:
        check ^= octet
    return octets + bytes((check,))


def _read_out(text: str) -> None:
    data_sets = datasets.parse_read_out(text)
    datasets.cumulative_registers(data_sets)
    datasets.meter_clock(data_sets, 60)


def _load_profile(text: str) -> None:
    sections = profile.parse_profile(text, 60)
    with suppress(CodecError):
        profile.active_import(sections)
    profile.active_import_registers(sections)


# --- sessions ---------------------------------------------------------------------------


def _client(first: Callable[[Client], object]) -> Take:
    """Sign on and ask, whatever the meter says; repeat as a driver does."""

    def take(octets: bytes) -> None:
        client = Client()
        client.sign_on("")
        client.receive_data(check_parity(octets))
        steps = [
            first,
            lambda client: client.unlock("00000000"),
            lambda client: client.read("P.01", ""),
            lambda client: client.write("0.9.1", "120000"),
        ]
        with suppress(RemoteProtocolError, LocalProtocolError):  # given up; or not asked for
            _follow(client, steps)

    return take


def _follow(client: Client, steps: list[Callable[[Client], object]]) -> None:
    for _ in range(EVENTS_MAX):
        match client.next_event():
            case None:
                return
            case Damaged() | NotUnderstood() as event:
                client.retry(event)
            case Part():
                client.go_on()
            case _ if steps:
                steps.pop(0)(client)
            case _:
                pass
    raise AssertionError("events without end")


def _server(baud_character: str) -> Take:
    """Obey whatever the client says."""

    def take(octets: bytes) -> None:
        identification = messages.Identification(
            maker="QNC", baud_character=baud_character, name="Q"
        )
        server = Server(identification, "123", speaks_hdlc=True)
        server.receive_data(check_parity(octets))
        for _ in range(EVENTS_MAX):
            event = server.next_event()
            if event is None:
                return
            _obey(server, event)
            server.data_to_send()
        raise AssertionError("events without end")

    return take


def _obey(server: Server, event: Event) -> None:
    match event:
        case Selected(mode=Mode.READ_OUT):
            server.read_out("1.8.0(000001.000*kWh)\r\n!\r\n")
        case Selected(mode=Mode.HDLC):
            server.hand_over()
        case Selected():
            server.challenge("()")
        case PasswordGiven() | Told():
            server.accept()
        case Asked(in_parts=True):
            server.answer("1.8.0(000001.000*kWh)", "2.8.0(000001.000*kWh)")
        case Asked():
            server.answer("1.8.0(000001.000*kWh)")
        case SignedOn() | Left():
            pass


# --- what is pushed ---------------------------------------------------------------------


class _Reader(Protocol):
    def receive_data(self, octets: bytes, /) -> None: ...


def _feed(reader: _Reader, take_next: Callable[[], object], octets: bytes) -> None:
    """Give a stream in pieces as long as its first octet says, 0 is all at once.

    After each, take what the reader finds, passing over what is damaged, until there is no more.
    """
    size = octets[0] or len(octets) if octets else 1
    for begin in range(1, len(octets), size):
        reader.receive_data(octets[begin : begin + size])
        _drain(take_next)


def _drain(take_next: Callable[[], object]) -> None:
    for _ in range(EVENTS_MAX):
        with suppress(CodecError):
            if take_next() is None:
                return
    raise AssertionError("events without end")


def _sml_content(octets: bytes) -> None:
    for values in parse_lists(octets):
        with suppress(CodecError):
            cumulative_registers(values.entries)


def _sml_stream(octets: bytes) -> None:
    reader = FileReader()

    def take_next() -> bytes | None:
        content = reader.next_file()
        _sml_content(content or b"")
        return content

    _feed(reader, take_next, octets)


def _telegram(octets: bytes) -> None:
    telegram = Telegram.parse(octets)
    dsmr.equipment_id(telegram)
    with suppress(CodecError):
        dsmr.registers(telegram)
    with suppress(CodecError):
        dsmr.clock(telegram, 60)
    with suppress(CodecError):
        dsmr.children(telegram, 60)


def _telegram_stream(octets: bytes) -> None:
    reader = TelegramReader()
    _feed(reader, reader.next_telegram, octets)


def _sealed_stream(octets: bytes) -> None:
    reader = SealedTelegramReader(KEY)
    _feed(reader, reader.next_telegram, octets)


def _sealed(octets: bytes) -> None:
    _sealed_stream(bytes(1) + seal(octets, KEY, system_title=b"QNM\0\0\0\0\1", counter=1))


HARNESSES: dict[str, Take] = {
    "iec62056-21-request": messages.Request.parse,
    "iec62056-21-identification": messages.Identification.parse,
    "iec62056-21-option": messages.OptionSelect.parse,
    "iec62056-21-block": lambda octets: messages.DataBlock.parse(_with_check(octets)),
    "iec62056-21-plain-block": messages.PlainBlock.parse,
    "iec62056-21-command": lambda octets: messages.Command.parse(_with_check(octets)),
    "iec62056-21-data-sets": _text(datasets.parse_data_sets),
    "iec62056-21-read-out": _text(_read_out),
    "iec62056-21-stamp": _text(lambda text: datasets.parse_stamp(text, 60)),
    "iec62056-21-range": _text(lambda text: profile.parse_range(text, 60)),
    "iec62056-21-load-profile": _text(_load_profile),
    "iec62056-21-client": _client(lambda client: client.select(Mode.PROGRAMMING)),
    "iec62056-21-client-read-out": _client(lambda client: client.select(Mode.READ_OUT)),
    "iec62056-21-client-hdlc": _client(lambda client: client.select(Mode.HDLC)),
    "iec62056-21-meter": _server("5"),
    "iec62056-21-meter-mode-a": _server(" "),
    "sml-fields": fields.parse_fields,
    "sml-content": _sml_content,
    "sml-stream": _sml_stream,
    "sml-file": lambda octets: _sml_stream(bytes(1) + render_file(octets[:4096])),
    "p1-telegram": _telegram,
    "p1-stream": _telegram_stream,
    "p1-sealed-stream": _sealed_stream,
    "p1-sealed": _sealed,
}

SEEDS = [
    bytes(messages.Request(address="123")),
    bytes(messages.Identification(maker="QNC", baud_character="5", name="Q")),
    bytes(messages.OptionSelect(baud_character="5", mode=Mode.PROGRAMMING)),
    bytes(messages.DataBlock(text="1.8.0(000001.000*kWh)\r\n!\r\n")),
    bytes(messages.Command(name="R5", data="P.01(01808130001;01808191600)")),
    b"/?!\r\n\x06051\r\n" + bytes(messages.Command(name="P1", data="(00000000)")),
    b"P.01(0260501001500)(00)(15)(2)(1.29)(kWh)(1.8.0)(kWh)\r\n(0.100)(1.000)\r\n(0.101)(1.101)",
    bytes(
        Telegram(
            identification="QNC5Q",
            data_sets=tuple(
                datasets.parse_data_sets("0-0:1.0.0(260501001500S)\r\n1-0:1.8.1(1*kWh)")
            ),
            is_checked=True,
        )
    ),
]
