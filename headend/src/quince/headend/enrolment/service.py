"""Tokens, enrolment, renewal, revocation: a device becomes a gateway wholly or not at all.

Law: a token is burned before anything is signed, and a certificate is kept, with what the broker
is to allow, before it is given away. Who lost the answer asks again with the same key and is given
the same certificate; a key that was ever taken back is never certified again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from quince.headend.enrolment.authority import Authority
from quince.headend.enrolment.rules import (
    GatewayCertificate,
    Owner,
    Request,
    read_request,
    require_gateway_name,
)
from quince.headend.errors import EnrolmentRefusedError, UnknownGatewayError
from quince.headend.identity.rules import TOKEN_CHARS_MAX, RandomOctets, new_token, token_digest
from quince.model.clock import Clock
from quince.protocols.gateway.enrolment import Enrolled, verify_renewal
from quince.protocols.gateway.topics import GatewayAddress

log = structlog.get_logger()

TOKEN_LIFE_MAX = timedelta(days=30)  # a token on paper is a key on paper
# A gateway in strange hands could else fill the revocation list with what it never used.
RENEWALS_APART = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedRole:
    """What the broker is to allow a gateway (`present`) or no more; `revision` names this wish."""

    address: GatewayAddress
    present: bool
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A gateway's newest certificate, and whether the broker knows its role."""

    certificate: GatewayCertificate
    role_applied: bool


class EnrolmentStore(Protocol):
    """What is kept of tokens, certificates and roles; each call is one transaction."""

    async def is_registered(self, owner: Owner) -> bool:
        """Whether the tenant has such a gateway."""
        ...

    async def add_token(self, digest: bytes, owner: Owner, expires_utc: datetime) -> None:
        """Keep a token; EnrolmentRefusedError if another cell's gateway bears that name."""
        ...

    async def burn_token(self, digest: bytes, public_key: str, now_utc: datetime) -> Owner | None:
        """Bind a token to this key for ever; None unless it is fresh or was burned by this key."""
        ...

    async def replace_certificate(self, new: GatewayCertificate, *, keep: str | None) -> int:
        """Keep `new`, want its role, revoke the owner's others but `keep`; return how many."""
        ...

    async def certificate(self, serial: str) -> GatewayCertificate | None:
        """Return a certificate by its serial number."""
        ...

    async def certificate_of_key(self, public_key: str) -> GatewayCertificate | None:
        """Return the certificate this key ever had."""
        ...

    async def newest(self, owner: Owner) -> GatewayCertificate | None:
        """Return a gateway's newest certificate, whatever became of it."""
        ...

    async def revoke(self, owner: Owner, now_utc: datetime) -> int:
        """Revoke its certificates and tokens, and want its role no more; return how many."""
        ...

    async def revoked(self, now_utc: datetime) -> Sequence[tuple[str, datetime]]:
        """Return the serial numbers taken back that have not run out by themselves."""
        ...

    async def standings(self, tenant_id: int) -> Sequence[Standing]:
        """Return the tenant's gateways that ever had a certificate, by cell and name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What every gateway of this head-end is told, and for how long it is certified."""

    broker_host: str
    broker_port: int
    headend_url: str
    signers: Mapping[str, str]
    life: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayKeys:
    """What secrets for gateways are sealed with."""

    store: EnrolmentStore
    clock: Clock

    async def public_key(
        self, tenant_id: int, address: GatewayAddress
    ) -> ec.EllipticCurvePublicKey | None:
        """Return the key of a gateway's newest certificate; None if it has none in force."""
        newest = await self.store.newest(Owner(tenant_id=tenant_id, address=address))
        if newest is None or not newest.lives(self.clock.now_utc()):
            return None
        return newest.key


class Enrolment:
    """The use cases, bound to their store, their authority and their terms."""

    def __init__(
        self,
        *,
        store: EnrolmentStore,
        authority: Authority,
        terms: Terms,
        clock: Clock,
        random_octets: RandomOctets,
        publish_list: Callable[[bytes], Awaitable[None]],
    ) -> None:
        """Bind them; `publish_list` brings a revocation list to the broker."""
        self._store = store
        self._authority = authority
        self._terms = terms
        self._clock = clock
        self._random_octets = random_octets
        self._publish_list = publish_list
        self._publishing = asyncio.Lock()  # an older list must not overtake a newer one

    async def issue_token(self, owner: Owner, life: timedelta) -> str:
        """Return a token that makes one device this gateway; only its hash is kept.

        UnknownGatewayError for a gateway nobody registered.
        """
        require_gateway_name(owner.address.gateway)
        if not await self._store.is_registered(owner):
            raise UnknownGatewayError(f"{owner.address.gateway!r} is not registered in its cell")
        token = new_token(self._random_octets)
        expires_utc = self._clock.now_utc() + min(life, TOKEN_LIFE_MAX)
        await self._store.add_token(token_digest(token), owner, expires_utc)
        return token

    async def enrol(self, token: str, csr: str) -> Enrolled:
        """Make the device that signed `csr` the token's gateway; an earlier device is it no more.

        InvalidValueError for a request we cannot read: the token is still good then.
        EnrolmentRefusedError for a token that is not, or not for this key.
        """
        request = read_request(csr)
        now_utc = self._clock.now_utc()
        owner = None
        if len(token) <= TOKEN_CHARS_MAX:
            digest = token_digest(token)
            owner = await self._store.burn_token(digest, request.public_key, now_utc)
        if owner is None:
            raise EnrolmentRefusedError("the token is unknown, used or out of date")
        return await self._certify(owner, request, keep=None)

    async def renew(self, serial: str, csr: str, signature: bytes) -> Enrolled:
        """Certify a gateway's new key; the old certificate stays good until the new one renews.

        `signature` is the old key's over the request. EnrolmentRefusedError for a certificate that
        is unknown, revoked or out of date; SignatureError for a proof that is none.
        """
        request = read_request(csr)
        old = await self._store.certificate(serial)
        if old is None or not old.lives(self._clock.now_utc()):
            raise EnrolmentRefusedError("no certificate of a gateway, or not any more")
        verify_renewal(request.der, signature, old.key)
        return await self._certify(old.owner, request, keep=old.serial)

    async def revoke(self, owner: Owner) -> int:
        """Take a gateway's certificates back, and its role with them; return how many there were.

        Its live session ends when the broker is told; until then it can do what its role allows.
        UnknownGatewayError for a name nobody registered and nobody ever had: it is misspelt.
        """
        count = await self._store.revoke(owner, self._clock.now_utc())
        if count == 0 and not await self._store.is_registered(owner):
            raise UnknownGatewayError(f"{owner.address.gateway!r} is not registered in its cell")
        log.info("gateway_revoked", gateway=owner.address.gateway, certificates=count)
        await self.publish_revocations()
        return count

    async def publish_revocations(self) -> None:
        """Bring the list of what was taken back to the broker.

        Another process may do so too: what was taken back while a list was written gets a new one.
        """
        async with self._publishing:
            published = None
            now_utc = self._clock.now_utc()
            while (revoked := await self._store.revoked(now_utc)) != published:
                await self._publish_list(self._authority.revocation_list(revoked, now_utc=now_utc))
                published = revoked

    async def standings(self, tenant_id: int) -> Sequence[Standing]:
        """Return how the tenant's gateways stand."""
        return await self._store.standings(tenant_id)

    async def _certify(self, owner: Owner, request: Request, *, keep: str | None) -> Enrolled:
        now_utc = self._clock.now_utc()
        known = await self._store.certificate_of_key(request.public_key)
        if known is None:
            known = await self._sign(owner, request, keep=keep)
        elif known.owner != owner or not known.lives(now_utc):
            raise EnrolmentRefusedError("this key was another gateway's, or was taken back")
        return Enrolled(
            address=owner.address,
            certificate=known.certificate,
            ca=self._authority.pem,
            broker_host=self._terms.broker_host,
            broker_port=self._terms.broker_port,
            headend_url=self._terms.headend_url,
            signers=self._terms.signers,
        )

    async def _sign(
        self, owner: Owner, request: Request, *, keep: str | None
    ) -> GatewayCertificate:
        now_utc = self._clock.now_utc()
        if keep is not None:
            newest = await self._store.newest(owner)
            if newest is not None and now_utc - newest.issued_utc < RENEWALS_APART:
                raise EnrolmentRefusedError("the newest certificate is too young to be renewed")
        signed = self._authority.sign_client(
            owner.address.gateway, request.key, now_utc=now_utc, life=self._terms.life
        )
        certificate = GatewayCertificate(
            serial=f"{signed.serial_number:x}",
            owner=owner,
            public_key=request.public_key,
            certificate=signed.public_bytes(Encoding.PEM).decode(),
            issued_utc=now_utc,
            not_after_utc=signed.not_valid_after_utc,
        )
        retired = await self._store.replace_certificate(certificate, keep=keep)
        log.info(
            "gateway_certified",
            gateway=owner.address.gateway,
            serial=certificate.serial,
            not_after_utc=certificate.not_after_utc.isoformat(),
            retired=retired,
        )
        if retired:
            await self.publish_revocations()
        return certificate
