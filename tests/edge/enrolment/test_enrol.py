"""A folder becomes a gateway, through the head-end's real door."""

import asyncio
import ssl
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import load_pem_x509_certificate

from quince.edge.config import load_config
from quince.edge.enrolment import service
from quince.edge.enrolment.door import knock
from quince.edge.enrolment.service import enrol
from quince.edge.errors import (
    HeadendRefusedError,
    HeadendUnreachableError,
    TokenRefusedError,
)
from quince.model.errors import InvalidValueError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "gateway"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_device_becomes_a_gateway_with_all_it_needs(headend: Any, folder: Path) -> None:
    token = await headend.token()
    enrolled = await enrol(headend.url, token, ca_file=headend.ca_file, folder=folder)
    assert enrolled.address.gateway == "gw-1"
    assert names_in(folder) == [
        "ca.crt",
        "gateway.crt",
        "gateway.key",
        "gateway.toml",
        "headend-ca.crt",
    ]
    for secret in ("gateway.key", "gateway.toml"):  # meters' keys are added to the latter
        assert stat.S_IMODE((folder / secret).stat().st_mode) == 0o600
    context = ssl.create_default_context(cafile=folder / "ca.crt")
    context.load_cert_chain(folder / "gateway.crt", folder / "gateway.key")


async def test_its_configuration_names_its_own_files_and_no_meter_yet(
    headend: Any, folder: Path
) -> None:
    token = await headend.token()
    await enrol(headend.url, token, ca_file=headend.ca_file, folder=folder)
    config = load_config(folder / "gateway.toml")
    assert (config.gateway, config.cell, config.meters) == ("gw-1", "north", [])
    assert (config.broker.host, config.broker.port) == ("broker.example", 8883)
    assert config.broker.tls is not None
    assert config.broker.tls.key_file == folder / "gateway.key"
    assert config.headend is not None
    assert config.headend.ca_file == folder / "headend-ca.crt"
    assert config.commands is not None
    assert config.commands.signers == {"headend": "ab" * 32}


async def test_meters_are_added_behind_what_was_written(headend: Any, folder: Path) -> None:
    token = await headend.token()
    await enrol(headend.url, token, ca_file=headend.ca_file, folder=folder)
    path = folder / "gateway.toml"
    meter = '[[meters]]\nkind = "sml"\nid = "m-1"\nurl = "tcp://10.0.0.1:1"\nutc_offset_min = 0\n'
    path.write_text(path.read_text() + meter)
    assert [one.id for one in load_config(path).meters] == ["m-1"]


async def test_what_broke_off_is_taken_up_again_by_the_same_token(
    headend: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await headend.token()
    with monkeypatch.context() as broken:
        broken.setattr(service, "replace_file", _power_cut)
        with pytest.raises(OSError, match="power"):
            await enrol(headend.url, token, ca_file=headend.ca_file, folder=folder)
    assert names_in(folder) == ["gateway.key.next"]
    await enrol(headend.url, token, ca_file=headend.ca_file, folder=folder)
    certificate = load_pem_x509_certificate((folder / "gateway.crt").read_bytes())
    assert certificate.subject.rfc4514_string() == "CN=gw-1"
    assert not (folder / "gateway.key.next").exists()


async def test_a_used_token_is_refused_in_so_many_words(
    headend: Any, folder: Path, tmp_path: Path
) -> None:
    token = await headend.token()
    await enrol(headend.url, token, ca_file=headend.ca_file, folder=folder)
    with pytest.raises(TokenRefusedError, match="403 the token is unknown, used"):
        await enrol(headend.url, token, ca_file=headend.ca_file, folder=tmp_path / "second")
    assert names_in(tmp_path / "second") == []


async def test_a_revoked_gateway_comes_back_with_a_new_token_and_keeps_its_meters(
    headend: Any, folder: Path
) -> None:
    token = await headend.token()
    await enrol(headend.url, token, ca_file=headend.ca_file, folder=folder)
    path = folder / "gateway.toml"
    path.write_text(path.read_text().replace("[broker]", "backfill_days = 9\n\n[broker]"))
    old_key = (folder / "gateway.key").read_bytes()
    await headend.revoke()
    token = await headend.token()
    await enrol(headend.url, token, ca_file=headend.ca_file, folder=folder)
    assert load_config(path).backfill_days == 9
    assert (folder / "gateway.key").read_bytes() != old_key


async def test_another_gateways_token_changes_nothing_here(headend: Any, folder: Path) -> None:
    token = await headend.token()
    await enrol(headend.url, token, ca_file=headend.ca_file, folder=folder)
    before = (folder / "gateway.crt").read_bytes()
    other = await headend.token("gw-2")
    with pytest.raises(HeadendRefusedError, match="another gateway"):
        await enrol(headend.url, other, ca_file=headend.ca_file, folder=folder)
    assert (folder / "gateway.crt").read_bytes() == before


async def test_a_head_end_nobody_vouches_for_is_told_nothing(headend: Any, folder: Path) -> None:
    token = await headend.token()
    with pytest.raises(HeadendUnreachableError, match="certificate"):
        await enrol(headend.url, token, ca_file=None, folder=folder)
    await enrol(headend.url, token, ca_file=headend.ca_file, folder=folder)


async def test_nobody_there_is_worth_trying_again(folder: Path) -> None:
    with pytest.raises(HeadendUnreachableError):
        await enrol("https://127.0.0.1:1", "quince_x", ca_file=None, folder=folder)


@pytest.mark.parametrize("url", ["http://headend.example", "headend.example", "ftp://x", "//["])
async def test_a_token_does_not_travel_in_the_clear(folder: Path, url: str) -> None:
    with pytest.raises(InvalidValueError, match="https"):
        await enrol(url, "quince_x", ca_file=None, folder=folder)


async def test_a_file_of_authorities_that_is_none_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match=r"missing\.crt"):
        await enrol("https://x", "quince_x", ca_file=tmp_path / "missing.crt", folder=folder)
    (tmp_path / "empty.crt").touch()
    with pytest.raises(InvalidValueError, match=r"empty\.crt"):
        await enrol("https://x", "quince_x", ca_file=tmp_path / "empty.crt", folder=folder)


@pytest.mark.parametrize(
    ("status", "octets", "error"),
    [
        (200, b"", HeadendRefusedError),
        (200, b"{}", HeadendRefusedError),
        (200, b"[" * 100_000, HeadendRefusedError),
        (200, b" " * 1_000_000, HeadendRefusedError),
        (200, b'{"cell": "north", "gateway": "gw-1", "certificate": 1}', HeadendRefusedError),
        (422, b'{"detail": "csr"}', HeadendRefusedError),
        (404, b"<html>", HeadendRefusedError),
        (403, b"{}", TokenRefusedError),
        (429, b"{}", HeadendUnreachableError),
        (503, b"[]", HeadendUnreachableError),
    ],
)
async def test_every_answer_says_whether_to_ask_again(
    status: int, octets: bytes, error: type[Exception]
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(octets)))
        writer.write(octets)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(error):
            await knock(url, "/v1/gateways/enrol", {"token": "quince_x"}, ca_file=None)


def _power_cut(*_: object, **__: object) -> None:
    raise OSError("power")
