"""Our reader reads our simulated meter over TCP in every security that can be configured."""

import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pydantic import TypeAdapter, ValidationError
from tests.clocks import StoppedClock

from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.readers.dlms.line import DlmsLine, open_dlms
from quince.edge.readers.dlms.login import Ciphered, login
from quince.edge.readers.dlms.security import DlmsSecurity, authentication
from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.security_config import SecurityConfig, believed
from quince.firmware_sims.dlms.server import serve_wrapper
from quince.firmware_sims.load import Household, Supply
from quince.model.errors import InvalidValueError
from quince.model.meter_key import MeterKey
from quince.protocols.dlms.errors import AuthenticationError, ProtectionError
from quince.protocols.dlms.security.elliptic import generate
from quince.protocols.dlms.security.suite import Suite

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
MIDNIGHT = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
HOUSEHOLD = Household(seed=1)
OURS, THEIRS = "514e470000000001", "514e4d0000000001"
FORMS = ["service-specific", "general-glo", "dedicated", "general-dedicated"]
FORMS += ["general-ciphering", "wrapped-key"]
CURVE_FORMS = [*FORMS, "ephemeral-key", "static-keys"]


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """Return where a key of each suite is kept: `pem(1, "client", "signing")`."""
    folder = tmp_path_factory.mktemp("keys")
    for suite in (Suite.AES_128_P256, Suite.AES_256_P384):
        for side in ("client", "meter"):
            for use in ("signing", "agreement"):
                key, name = generate(suite), f"{suite}-{side}-{use}"
                form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                (folder / f"{name}.key").write_bytes(key.private_bytes(*form))
                public = key.public_key().public_bytes(
                    Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
                )
                (folder / f"{name}.pub").write_bytes(public)
    return lambda suite, side, use: folder / f"{suite}-{side}-{use}"


def keys(suite):
    octets = 32 if suite == 2 else 16
    return {
        "suite": suite,
        "encryption_key": "5a" * octets,
        "authentication_key": "a5" * octets,
        "master_key": "c3" * octets,
    }


def both(suite, pem, form="service-specific", **more):
    """Return what is ciphered with, as the gateway's configuration and the scenario say it."""
    ours = {"system_title": OURS, "meter_system_title": THEIRS, "form": form, **keys(suite)}
    theirs = {"system_title": THEIRS, **keys(suite)}
    if suite:
        for use in ("signing", "agreement"):
            ours[f"{use}_key_file"] = pem(suite, "client", use).with_suffix(".key")
            ours[f"meter_{use}_file"] = pem(suite, "meter", use).with_suffix(".pub")
            theirs[f"{use}_key_file"] = pem(suite, "meter", use).with_suffix(".key")
            theirs[f"client_{use}_file"] = pem(suite, "client", use).with_suffix(".pub")
    return ours | more, theirs | more


@asynccontextmanager
async def reading(tmp_path, ours, theirs):
    meter = DlmsMeter(
        device_id="M1",
        household=HOUSEHOLD,
        supply=Supply(()),
        clock=StoppedClock(NOW),
        accepts=(believed(TypeAdapter(SecurityConfig).validate_python(theirs), StoppedClock(NOW)),),
    )
    config = TypeAdapter(DlmsSecurity).validate_python(ours)
    async with await serve_wrapper(meter, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with CounterStore(tmp_path / "counters.db") as counters:
            async with open_dlms(
                DlmsLine(url=f"tcp://127.0.0.1:{port}", client_sap=1, server_sap=1),
                meter_id="M1",
                login=login(authentication(config, counters), counters, meter_id="M1"),
                utc_offset_min=-360,
                rng=random.SystemRandom(),
            ) as reader:
                yield reader


async def read_a_day(tmp_path, ours, theirs):
    async with reading(tmp_path, ours, theirs) as reader:
        return await reader.intervals(MIDNIGHT, MIDNIGHT + timedelta(days=1))


def the_truth():
    quarter = timedelta(minutes=15)
    return [HOUSEHOLD.interval_wh(MIDNIGHT + i * quarter) for i in range(96)]


@pytest.mark.parametrize("suite", [0, 1, 2])
@pytest.mark.parametrize("form", FORMS)
async def test_gmac_reads_a_day_in_every_form_and_suite(tmp_path, pem, suite, form):
    ours, theirs = both(suite, pem, form)
    kind = {"kind": "hls-gmac"}
    piece = await read_a_day(tmp_path, ours | kind, theirs | kind)
    assert list(piece.series.values) == the_truth()


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("form", CURVE_FORMS)
async def test_ecdsa_reads_a_day_in_every_form_and_suite(tmp_path, pem, suite, form):
    ours, theirs = both(suite, pem, form)
    kind = {"kind": "hls-ecdsa"}
    piece = await read_a_day(tmp_path, ours | kind, theirs | kind)
    assert list(piece.series.values) == the_truth()


async def test_signed_requests_get_signed_answers(tmp_path, pem):
    ours, theirs = both(1, pem, "general-ciphering", sign_apdus=True)
    kind = {"kind": "hls-ecdsa"}
    piece = await read_a_day(tmp_path, ours | kind, theirs | kind)
    assert list(piece.series.values) == the_truth()


@pytest.mark.parametrize("kind", ["hls-md5", "hls-sha1", "hls-sha256"])
@pytest.mark.parametrize("ciphered", [False, True])
async def test_a_hashed_secret_reads_a_day(tmp_path, pem, kind, ciphered):
    ours, theirs = {"system_title": OURS}, {"system_title": THEIRS}
    if ciphered:
        ours, theirs = ({"ciphering": one} for one in both(0, pem))
    secret = {"kind": kind, "secret": "s3cret"}
    piece = await read_a_day(tmp_path, ours | secret, theirs | secret)
    assert list(piece.series.values) == the_truth()


@pytest.mark.parametrize("ciphered", [False, True])
async def test_a_password_reads_a_day(tmp_path, pem, ciphered):
    ours, theirs = both(0, pem) if ciphered else (None, None)
    password = {"kind": "lls", "password": "12345678"}
    ours, theirs = password | {"ciphering": ours}, password | {"ciphering": theirs}
    piece = await read_a_day(tmp_path, ours, theirs)
    assert list(piece.series.values) == the_truth()


async def test_the_public_client_reads_a_day_where_anybody_may(tmp_path):
    piece = await read_a_day(tmp_path, {"kind": "none"}, {"kind": "none"})
    assert list(piece.series.values) == the_truth()


async def test_a_meter_of_another_title_is_not_read(tmp_path, pem):
    ours, theirs = both(0, pem)
    expected = {"kind": "hls-gmac", "meter_system_title": "514e4d0000000002"}
    with pytest.raises(ProtectionError, match="not 514e4d0000000002"):
        await read_a_day(tmp_path, ours | expected, theirs | {"kind": "hls-gmac"})


async def test_another_signing_key_is_refused(tmp_path, pem):
    ours, theirs = both(1, pem)
    kind = {"kind": "hls-ecdsa"}
    stolen = {"signing_key_file": pem(1, "client", "agreement").with_suffix(".key")}
    with pytest.raises(AuthenticationError):
        await read_a_day(tmp_path, ours | kind | stolen, theirs | kind)


def test_sessions_use_no_counter_twice_and_a_changed_key_counts_anew(tmp_path, pem):
    ours, _ = both(0, pem)
    config = TypeAdapter(DlmsSecurity).validate_python(ours | {"kind": "hls-gmac"})
    with CounterStore(tmp_path / "counters.db") as counters:
        sessions = login(authentication(config, counters), counters, meter_id="M1")
        assert isinstance(sessions, Ciphered)
        drawn = [next_counter(sessions) for _ in range(2)]
        sessions.replace(MeterKey.ENCRYPTION, b"\x77" * 16)
        assert [*drawn, next_counter(sessions)] == [1, 2, 1]


def next_counter(sessions):
    return sessions.begin().counters.reserve()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"encryption_key": "5a"}, "keys.encryption"),
        ({"encryption_key": "xy" * 16}, "encryption_key"),
        ({"form": "ephemeral-key"}, "key_pairs"),
        ({"suite": 1, "signing_key_file": "nowhere.pem"}, "signing_key_file"),
        ({"suite": 1, "signing_key_file": __file__}, "signing_key_file"),
        ({"suite": 1, "meter_signing_file": __file__}, "meter_signing_file"),
        ({"form": "wrapped-key", "master_key": None}, "keys.master"),
    ],
)
def test_what_is_wrong_with_a_security_is_named_and_no_key_shown(tmp_path, pem, wrong, field):
    ours, _ = both(0, pem)
    config = TypeAdapter(DlmsSecurity).validate_python(ours | {"kind": "hls-gmac"} | wrong)
    with (
        CounterStore(tmp_path / "counters.db") as counters,
        pytest.raises(InvalidValueError) as refused,
    ):
        authentication(config, counters)
    assert refused.value.field == field
    assert "5a5a" not in str(refused.value) + repr(config)


def test_a_title_beside_another_that_ciphers_is_refused(tmp_path, pem):
    ours, _ = both(0, pem)
    said = {"kind": "hls-sha256", "secret": "s3cret", "system_title": THEIRS, "ciphering": ours}
    config = TypeAdapter(DlmsSecurity).validate_python(said)
    with (
        CounterStore(tmp_path / "counters.db") as counters,
        pytest.raises(InvalidValueError, match="as it ciphers with"),
    ):
        authentication(config, counters)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "hls-2"},
        {"kind": "hls-ecdsa", "suite": 0},
        {"kind": "hls-gmac", "suite": 3},
        {"kind": "hls-gmac", "form": "glo"},
        {"kind": "hls-gmac", "system_title": "short"},
    ],
)
def test_a_security_that_is_not_spoken_is_refused(pem, wrong):
    ours, _ = both(0, pem)
    with pytest.raises(ValidationError):
        TypeAdapter(DlmsSecurity).validate_python(ours | wrong)
