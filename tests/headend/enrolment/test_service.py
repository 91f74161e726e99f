"""One token makes one device one gateway; whoever lost the answer is given it again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from quince.headend import wiring
from quince.headend.assets.rules import read_registration
from quince.headend.enrolment.rules import Owner
from quince.headend.enrolment.service import GatewayKeys
from quince.headend.errors import EnrolmentRefusedError, UnknownGatewayError
from quince.model.errors import InvalidValueError
from quince.protocols.gateway.errors import SignatureError
from quince.protocols.gateway.topics import GatewayAddress

ADDRESS = GatewayAddress(cell="north", gateway="gw-1")
OWNER = Owner(tenant_id=1, address=ADDRESS)
THREE_DAYS = timedelta(days=3)
SOUTH = """
[tenant]
id = 2
name = "Compañía del Sur"
cells = ["south"]
[[gateway]]
id = "gw-1"
cell = "south"
"""


def certificate_of(enrolled: Any) -> x509.Certificate:
    return x509.load_pem_x509_certificate(enrolled.certificate.encode())


def serial_of(enrolled: Any) -> str:
    return f"{certificate_of(enrolled).serial_number:x}"


async def test_a_token_makes_a_device_a_gateway(office: Any, new_device: Callable[[], Any]) -> None:
    device = new_device()
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    enrolled = await office.enrolment.enrol(token, device.csr())
    certificate = certificate_of(enrolled)
    certificate.verify_directly_issued_by(office.authority.certificate)
    assert certificate.public_key() == device.key.public_key()
    assert enrolled.address == ADDRESS
    assert (enrolled.broker_host, enrolled.broker_port) == ("broker.example", 8883)
    assert enrolled.signers == {"headend": "ab" * 32}


async def test_the_name_in_the_certificate_is_the_tokens_whatever_is_asked_for(
    office: Any, new_device: Callable[[], Any]
) -> None:
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    enrolled = await office.enrolment.enrol(token, new_device().csr("quince-headend-north"))
    assert certificate_of(enrolled).subject.rfc4514_string() == "CN=gw-1"


async def test_extensions_asked_for_are_ignored(office: Any, new_device: Callable[[], Any]) -> None:
    device = new_device()
    wish = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(device.key, SHA256())
    )
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    enrolled = await office.enrolment.enrol(token, wish.public_bytes(Encoding.PEM).decode())
    extensions = certificate_of(enrolled).extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]


async def test_a_token_is_good_for_one_device(office: Any, new_device: Callable[[], Any]) -> None:
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    await office.enrolment.enrol(token, new_device().csr())
    with pytest.raises(EnrolmentRefusedError, match="used"):
        await office.enrolment.enrol(token, new_device().csr())


async def test_a_device_that_lost_the_answer_is_given_it_again(
    office: Any, new_device: Callable[[], Any]
) -> None:
    device = new_device()
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    first = await office.enrolment.enrol(token, device.csr())
    assert await office.enrolment.enrol(token, device.csr()) == first


async def test_a_token_burned_before_a_crash_is_good_for_the_same_key(
    office: Any, new_device: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = new_device()
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)

    async def crash(*_: object, **__: object) -> int:
        raise OSError("power")

    with monkeypatch.context() as patched:
        patched.setattr(type(office.store), "replace_certificate", crash)
        with pytest.raises(OSError, match="power"):
            await office.enrolment.enrol(token, device.csr())
    with pytest.raises(EnrolmentRefusedError):
        await office.enrolment.enrol(token, new_device().csr())
    assert (await office.enrolment.enrol(token, device.csr())).address == ADDRESS


@pytest.mark.parametrize("token", ["quince_guess", "", "x" * 200])
async def test_a_token_nobody_issued_is_refused(
    office: Any, new_device: Callable[[], Any], token: str
) -> None:
    with pytest.raises(EnrolmentRefusedError, match="unknown"):
        await office.enrolment.enrol(token, new_device().csr())


async def test_a_token_runs_out(office: Any, clock: Any, new_device: Callable[[], Any]) -> None:
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    clock.now += THREE_DAYS
    with pytest.raises(EnrolmentRefusedError, match="out of date"):
        await office.enrolment.enrol(token, new_device().csr())


async def test_a_request_that_cannot_be_read_leaves_the_token_good(
    office: Any, new_device: Callable[[], Any]
) -> None:
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    with pytest.raises(InvalidValueError, match="csr"):
        await office.enrolment.enrol(token, "no request")
    assert (await office.enrolment.enrol(token, new_device().csr())).address == ADDRESS


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65_537, 2_048)],
    ids=["P-384", "RSA"],
)
async def test_only_p_256_keys_are_certified(office: Any, key: Any) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, SHA256())
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    with pytest.raises(InvalidValueError, match="P-256"):
        await office.enrolment.enrol(token, request.public_bytes(Encoding.PEM).decode())


async def test_a_request_signed_by_another_key_is_refused(
    office: Any, new_device: Callable[[], Any]
) -> None:
    der = bytearray(new_device().request().public_bytes(Encoding.DER))
    der[-1] ^= 1
    tampered = x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM).decode()
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    with pytest.raises(InvalidValueError, match="csr"):
        await office.enrolment.enrol(token, tampered)


async def test_a_gateway_nobody_registered_gets_no_token(office: Any) -> None:
    stranger = Owner(tenant_id=1, address=GatewayAddress(cell="north", gateway="gw-9"))
    with pytest.raises(UnknownGatewayError):
        await office.enrolment.issue_token(stranger, THREE_DAYS)


async def test_a_gateway_named_like_the_head_end_gets_no_token(office: Any) -> None:
    address = GatewayAddress(cell="north", gateway="quince-headend-north")
    with pytest.raises(InvalidValueError, match="own names"):
        await office.enrolment.issue_token(Owner(tenant_id=1, address=address), THREE_DAYS)


async def test_two_cells_cannot_have_gateways_of_one_name(
    office: Any, database: Any, new_device: Callable[[], Any]
) -> None:
    await wiring.register(database, read_registration(SOUTH))
    south = Owner(tenant_id=2, address=GatewayAddress(cell="south", gateway="gw-1"))
    later = await office.enrolment.issue_token(south, THREE_DAYS)
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    await office.enrolment.enrol(token, new_device().csr())
    with pytest.raises(EnrolmentRefusedError, match="another cell"):
        await office.enrolment.issue_token(south, THREE_DAYS)
    with pytest.raises(EnrolmentRefusedError, match="another cell"):
        await office.enrolment.enrol(later, new_device().csr())


async def test_a_new_device_takes_the_old_ones_place(
    office: Any, clock: Any, new_device: Callable[[], Any]
) -> None:
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    old = await office.enrolment.enrol(token, new_device().csr())
    clock.now += timedelta(days=1)
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    await office.enrolment.enrol(token, new_device().csr())
    assert office.revoked == {serial_of(old)}


async def enrol(office: Any, device: Any) -> Any:
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    return await office.enrolment.enrol(token, device.csr())


async def test_a_certificate_is_renewed_by_its_keys_holder(
    office: Any, clock: Any, new_device: Callable[[], Any]
) -> None:
    old, new = new_device(), new_device()
    first = await enrol(office, old)
    clock.now += timedelta(days=240)
    second = await office.enrolment.renew(serial_of(first), *old.renewal(new))
    assert certificate_of(second).public_key() == new.key.public_key()
    assert certificate_of(second).not_valid_after_utc == clock.now + timedelta(days=365)
    assert office.published == []  # the old one is good until the new one renews


async def test_a_renewal_that_lost_its_answer_is_given_it_again(
    office: Any, clock: Any, new_device: Callable[[], Any]
) -> None:
    old, new = new_device(), new_device()
    serial = serial_of(await enrol(office, old))
    clock.now += timedelta(days=240)
    first = await office.enrolment.renew(serial, *old.renewal(new))
    assert await office.enrolment.renew(serial, *old.renewal(new)) == first


async def test_the_one_before_is_taken_back_once_the_new_one_renews(
    office: Any, clock: Any, new_device: Callable[[], Any]
) -> None:
    devices = [new_device() for _ in range(3)]
    first = await enrol(office, devices[0])
    clock.now += timedelta(days=100)
    second = await office.enrolment.renew(serial_of(first), *devices[0].renewal(devices[1]))
    clock.now += timedelta(days=100)
    await office.enrolment.renew(serial_of(second), *devices[1].renewal(devices[2]))
    assert office.revoked == {serial_of(first)}


async def test_nobody_renews_without_the_old_key(
    office: Any, clock: Any, new_device: Callable[[], Any]
) -> None:
    serial = serial_of(await enrol(office, new_device()))
    clock.now += timedelta(days=240)
    thief = new_device()
    with pytest.raises(SignatureError):
        await office.enrolment.renew(serial, *thief.renewal(thief))


async def test_a_proof_for_one_request_is_none_for_another(
    office: Any, clock: Any, new_device: Callable[[], Any]
) -> None:
    old = new_device()
    serial = serial_of(await enrol(office, old))
    clock.now += timedelta(days=240)
    _, proof = old.renewal(new_device())
    with pytest.raises(SignatureError):
        await office.enrolment.renew(serial, new_device().csr(), proof)


async def test_a_certificate_that_ran_out_is_not_renewed(
    office: Any, clock: Any, new_device: Callable[[], Any]
) -> None:
    old = new_device()
    serial = serial_of(await enrol(office, old))
    clock.now += timedelta(days=365)
    with pytest.raises(EnrolmentRefusedError, match="not any more"):
        await office.enrolment.renew(serial, *old.renewal(new_device()))


async def test_an_unknown_certificate_is_not_renewed(
    office: Any, new_device: Callable[[], Any]
) -> None:
    with pytest.raises(EnrolmentRefusedError, match="no certificate"):
        await office.enrolment.renew("c0ffee", *new_device().renewal(new_device()))


async def test_renewals_come_an_hour_apart(office: Any, new_device: Callable[[], Any]) -> None:
    old = new_device()
    serial = serial_of(await enrol(office, old))
    with pytest.raises(EnrolmentRefusedError, match="too young"):
        await office.enrolment.renew(serial, *old.renewal(new_device()))


async def test_a_revoked_gateway_neither_renews_nor_enrols_with_what_it_has(
    office: Any, clock: Any, new_device: Callable[[], Any]
) -> None:
    device = new_device()
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    spare = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    serial = serial_of(await office.enrolment.enrol(token, device.csr()))
    clock.now += timedelta(hours=2)
    assert await office.enrolment.revoke(OWNER) == 1
    assert office.revoked == {serial}
    with pytest.raises(EnrolmentRefusedError):
        await office.enrolment.renew(serial, *device.renewal(new_device()))
    for spent in (token, spare):
        with pytest.raises(EnrolmentRefusedError):
            await office.enrolment.enrol(spent, device.csr())


async def revoked_in_between(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let somebody revoke the gateway when its next certificate is signed, and not yet kept."""
    keep = type(office.store).replace_certificate

    async def late(store: Any, new: Any, *, keep_: str | None) -> int:
        await office.enrolment.revoke(OWNER)
        return int(await keep(store, new, keep=keep_))

    monkeypatch.setattr(
        type(office.store), "replace_certificate", lambda *one, keep: late(*one, keep_=keep)
    )


async def test_a_renewal_under_way_does_not_outlive_a_revocation(
    office: Any, clock: Any, new_device: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    device, next_device = new_device(), new_device()
    serial = serial_of(await enrol(office, device))
    clock.now += timedelta(days=240)
    await revoked_in_between(office, monkeypatch)
    with pytest.raises(EnrolmentRefusedError, match="meanwhile"):
        await office.enrolment.renew(serial, *device.renewal(next_device))
    newest = await office.store.newest(OWNER)
    assert newest is not None
    assert not newest.lives(clock.now)


async def test_an_enrolment_under_way_does_not_outlive_a_revocation(
    office: Any, new_device: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    await revoked_in_between(office, monkeypatch)
    with pytest.raises(EnrolmentRefusedError, match="meanwhile"):
        await office.enrolment.enrol(token, new_device().csr())
    assert await office.store.newest(OWNER) is None


async def test_what_another_process_takes_back_while_a_list_is_written_is_on_the_next(
    office: Any, new_device: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    serial = serial_of(await enrol(office, new_device()))
    read = office.store.revoked
    lists: list[list[Any]] = [[]]

    async def older_first(_store: Any, now_utc: Any) -> Any:
        return lists.pop() if lists else await read(now_utc)

    monkeypatch.setattr(type(office.store), "revoked", older_first)
    await office.store.revoke(OWNER, office.authority.certificate.not_valid_before_utc)
    await office.enrolment.publish_revocations()
    assert office.revoked == {serial}


async def test_a_key_that_was_taken_back_is_never_certified_again(
    office: Any, new_device: Callable[[], Any]
) -> None:
    device = new_device()
    await enrol(office, device)
    await office.enrolment.revoke(OWNER)
    token = await office.enrolment.issue_token(OWNER, THREE_DAYS)
    with pytest.raises(EnrolmentRefusedError, match="taken back"):
        await office.enrolment.enrol(token, device.csr())


async def test_what_ran_out_leaves_the_revocation_list(
    office: Any, clock: Any, new_device: Callable[[], Any]
) -> None:
    await enrol(office, new_device())
    await office.enrolment.revoke(OWNER)
    assert len(office.revoked) == 1
    clock.now += timedelta(days=366)
    await office.enrolment.publish_revocations()
    assert office.revoked == set()


async def test_secrets_are_sealed_with_the_newest_key_in_force(
    office: Any, clock: Any, new_device: Callable[[], Any]
) -> None:
    keys = GatewayKeys(store=office.store, clock=clock)
    assert await keys.public_key(1, ADDRESS) is None
    device = new_device()
    await enrol(office, device)
    assert await keys.public_key(1, ADDRESS) == device.key.public_key()
    assert await keys.public_key(2, ADDRESS) is None
    await office.enrolment.revoke(OWNER)
    assert await keys.public_key(1, ADDRESS) is None


async def test_a_tenant_sees_how_its_own_gateways_stand(
    office: Any, new_device: Callable[[], Any]
) -> None:
    enrolled = await enrol(office, new_device())
    (standing,) = await office.enrolment.standings(1)
    assert standing.certificate.serial == serial_of(enrolled)
    assert not standing.role_applied
    assert await office.enrolment.standings(2) == []
