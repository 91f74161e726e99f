"""`quince-edge decode`: a capture and, where it is ciphered, the meter whose keys open it."""

import json

import pytest

from quince.edge.cli import main as cli
from quince.protocols.dlms.security.sealing import seal
from quince.protocols.dlms.security.suite import Keys

CONFIG = """
gateway = "gw-1"
cell = "sv-1"
outbox = "outbox.db"
broker = { host = "127.0.0.1", port = 1883 }
[[meters]]
kind = "dlms"
id = "M1"
url = "tcp://127.0.0.1:4059"
utc_offset_min = -360
client_sap = 1
server_sap = 1
equipment_id = "M1"
[meters.security]
kind = "hls-gmac"
system_title = "514e470000000001"
encryption_key = "000102030405060708090a0b0c0d0e0f"
authentication_key = "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
[[meters]]
kind = "dlms"
id = "M2"
url = "tcp://127.0.0.1:4060"
utc_offset_min = -360
client_sap = 1
server_sap = 1
equipment_id = "M2"
security = { kind = "lls", password = "12345678" }
[[meters]]
kind = "dsmr"
id = "M3"
url = "serial:/dev/ttyUSB0"
utc_offset_min = 60
key = "000102030405060708090a0b0c0d0e0f"
"""
# The Green Book's example of a ciphered get-request, and whose it is.
SEALED = "c81e3001234567411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b"
TITLE = "4d4d4d0000bc614e"


@pytest.fixture
def decode(monkeypatch, tmp_path):
    (tmp_path / "gateway.toml").write_text(CONFIG)

    def command(*arguments):
        config = ["--config", str(tmp_path / "gateway.toml")]
        monkeypatch.setattr("sys.argv", ["quince-edge", "decode", *arguments, *config])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code

    return command


def test_a_frame_is_explained(decode, capsys):
    assert decode("c001c100080000010000ff0200") == 0
    assert "class 8, 0-0:1.0.0" in capsys.readouterr().out


def test_a_meters_keys_open_its_frames(decode, capsys):
    assert decode(SEALED, "--meter", "M1", "--system-title", TITLE) == 0
    assert "class 8, 0-0:1.0.0" in capsys.readouterr().out


def test_no_key_is_ever_printed(decode, capsys):
    decode(SEALED, "--meter", "M1")
    printed = capsys.readouterr()
    assert "000102030405" not in printed.out + printed.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((SEALED, "--meter", "M2"), "has no keys"),
        ((SEALED, "--meter", "M4"), "one of M1, M2, M3"),
        ((SEALED, "--meter", "M1", "--system-title", "xyz"), "system_title"),
        (("ffff",), "APDU"),
        (("no frame",), "hexadecimal digits"),
    ],
)
def test_what_cannot_be_explained_is_refused_with_the_reason(decode, capsys, arguments, said):
    assert decode(*arguments) != 0
    assert said in capsys.readouterr().err


def test_a_sealed_telegram_is_opened_with_the_ports_key(decode, capsys):
    keys = Keys(
        encryption=bytes.fromhex("000102030405060708090a0b0c0d0e0f"),
        authentication=bytes.fromhex("00112233445566778899aabbccddeeff"),
    )
    title = bytes.fromhex("5341475905000001")
    text = b"/SAG5METER\r\n\r\n1-0:1.8.0(000001.000*kWh)\r\n!\r\n"
    sealed = seal(keys, protection=0x30, system_title=title, counter=7, plain=text)
    frame = b"\xdb\x08" + title + b"\x82" + len(sealed).to_bytes(2, "big") + sealed
    assert decode(frame.hex(), "--meter", "M3") == 0
    assert "1-0:1.8.0(000001.000*kWh)" in capsys.readouterr().out


def test_a_frame_is_nested_documents_for_programs(decode, capsys):
    assert decode("c001c100030100010800ff0200", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["name"], document["inner"]) == ("get request", [])
    assert {"label": "invoke id", "text": "1"} in document["fields"]
    hdlc = "7ea0210002002303939a747e"
    assert decode(hdlc, "--json") == 1
    assert capsys.readouterr().out == ""
