"""A certificate is renewed in time, whole, and whatever crashes."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from quince.edge.config import load_config
from quince.edge.enrolment import renewal as module
from quince.edge.enrolment.door import knock
from quince.edge.enrolment.identity import Certificate, Identity
from quince.edge.enrolment.renewal import Renewal, due, renewal_of
from quince.edge.enrolment.service import enrol
from quince.edge.errors import (
    HeadendRefusedError,
    HeadendUnreachableError,
    TokenRefusedError,
)
from quince.model.errors import InvalidValueError
from quince.model.event import GatewayEventKind


class Ears:
    """What hears the gateway's events."""

    def __init__(self) -> None:
        self.kinds: list[GatewayEventKind] = []
        self.heard = asyncio.Event()

    def __call__(self, kind: GatewayEventKind, _detail: str) -> None:
        self.kinds.append(kind)
        self.heard.set()


@pytest.fixture
def told() -> Ears:
    return Ears()


@pytest.fixture
async def renewal(headend: Any, tmp_path: Path, told: Ears) -> Renewal:
    """The renewal of a gateway that has just been enrolled."""
    folder = tmp_path / "gateway"
    await enrol(headend.url, await headend.token(), ca_file=headend.ca_file, folder=folder)
    path = folder / "gateway.toml"
    path.write_text(path.read_text().replace("https://127.0.0.1:8443", headend.url))
    found = renewal_of(load_config(path), told, headend.clock, Random(1))
    assert found is not None
    return found


def loads(identity: Identity) -> bool:
    """Whether certificate and key belong together, as TLS sees it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(identity.certificate_file, identity.key_file)
    return True


def test_it_is_time_at_two_thirds_of_a_life_and_a_little_later_by_lot() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = Certificate(
        serial="c0ffee", not_before_utc=start, not_after_utc=start + timedelta(days=300)
    )
    assert due(certificate, 0.0) == start + timedelta(days=200)
    assert due(certificate, 1.0) == start + timedelta(days=215)


async def test_a_new_key_is_certified_and_the_head_end_hears_of_it(
    renewal: Renewal, clock: Any, told: Ears
) -> None:
    identity = renewal.identity
    before = (identity.certificate().serial, identity.key_file.read_bytes())
    clock.now += timedelta(days=250)
    await renewal.renew()
    after = (identity.certificate().serial, identity.key_file.read_bytes())
    assert before[0] != after[0]
    assert before[1] != after[1]
    assert loads(identity)
    assert told.kinds == [GatewayEventKind.CERTIFICATE_RENEWED]


async def test_the_loop_renews_when_it_is_time(renewal: Renewal, clock: Any, told: Ears) -> None:
    task = asyncio.create_task(renewal.run())
    await asyncio.sleep(0.05)
    assert told.kinds == []
    task.cancel()
    clock.now += timedelta(days=260)
    task = asyncio.create_task(renewal.run())
    await asyncio.wait_for(told.heard.wait(), 10)
    task.cancel()


async def test_a_head_end_that_is_away_is_asked_again(
    renewal: Renewal, clock: Any, told: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    refusals = [HeadendUnreachableError("away"), TokenRefusedError("403")]

    async def knock_later(*what: Any, **how: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return await knock(*what, **how)

    monkeypatch.setattr(module, "knock", knock_later)
    clock.now += timedelta(days=260)
    task = asyncio.create_task(renewal.run())
    await asyncio.wait_for(told.heard.wait(), 10)
    task.cancel()
    assert refusals == []


async def test_an_answer_that_was_lost_is_asked_for_again_with_the_same_key(
    renewal: Renewal, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = renewal.identity

    async def knock_and_lose(*what: Any, **how: Any) -> Any:
        await knock(*what, **how)
        raise HeadendUnreachableError("lost")

    clock.now += timedelta(days=260)
    with monkeypatch.context() as lossy:
        lossy.setattr(module, "knock", knock_and_lose)
        with pytest.raises(HeadendUnreachableError):
            await renewal.renew()
    waiting = identity.next_key().private_numbers()
    assert loads(identity)
    await renewal.renew()
    assert identity.key().private_numbers() == waiting


@pytest.mark.parametrize("moves", [0, 1, 2])
async def test_a_crash_in_the_change_leaves_one_identity_or_the_other_whole(
    renewal: Renewal, clock: Any, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    identity, left = renewal.identity, [moves]
    clock.now += timedelta(days=260)
    replace: Callable[..., Path] = Path.replace

    def replace_until_the_power_goes(path: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] < 0:
            raise OSError("power")
        return replace(path, target)

    identity.next_key()
    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", replace_until_the_power_goes)
        with pytest.raises(OSError, match="power"):
            await renewal.renew()
    identity.settle()
    assert loads(identity)
    identity.settle()
    assert loads(identity)


async def test_a_certificate_for_another_key_is_not_adopted(renewal: Renewal) -> None:
    identity = renewal.identity
    before = identity.certificate_file.read_text()
    identity.next_key()
    with pytest.raises(HeadendRefusedError, match="another key"):
        identity.adopt(before)
    assert identity.certificate_file.read_text() == before


async def test_a_gateway_without_certificate_or_door_renews_nothing(
    renewal: Renewal, clock: Any
) -> None:
    folder = renewal.identity.key_file.parent
    config = load_config(folder / "gateway.toml")
    without_door = config.model_copy(update={"headend": None})
    plain = config.model_copy(update={"broker": config.broker.model_copy(update={"tls": None})})
    assert renewal_of(without_door, Ears(), clock, Random(1)) is None
    assert renewal_of(plain, Ears(), clock, Random(1)) is None


@pytest.mark.parametrize("octets", [b"", b"-----BEGIN CERTIFICATE-----\n", b"\xff"])
def test_files_that_hold_no_identity_are_named(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "k").write_bytes(octets)
    (tmp_path / "c").write_bytes(octets)
    identity = Identity(key_file=tmp_path / "k", certificate_file=tmp_path / "c")
    with pytest.raises(InvalidValueError, match="key_file"):
        identity.key()
    with pytest.raises(InvalidValueError, match="cert_file"):
        identity.certificate()


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    pem = b"-----BEGIN PRIVATE KEY-----\n"
    pem += b"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    pem += b"-----END PRIVATE KEY-----\n"
    (tmp_path / "k").write_bytes(pem)
    identity = Identity(key_file=tmp_path / "k", certificate_file=tmp_path / "c")
    with pytest.raises(InvalidValueError, match="elliptic"):
        identity.key()
