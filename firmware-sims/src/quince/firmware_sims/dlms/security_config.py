"""How a scenario says whom a simulated DLMS meter believes, and what that comes to."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from quince.model.clock import Clock
from quince.protocols.dlms.apdu.acse import Mechanism
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import (
    Authentication,
    Ciphering,
    Ecdsa,
    Gmac,
    Hashed,
    NoSecurity,
    Password,
)
from quince.protocols.dlms.security.elliptic import KeyPairs
from quince.protocols.dlms.security.pem import read_private_key, read_public_key
from quince.protocols.dlms.security.suite import Keys, Suite

_Kind = TypeVar("_Kind", bound=Ciphering)
_Key = TypeVar("_Key")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CipheringConfig(_Strict):
    """The meter's own system title, its keys as hexadecimal digits, its key pairs as PEM files.

    It answers each request in the form that this came in.
    """

    system_title: str
    suite: Literal[0, 1, 2] = 0
    encryption_key: str = Field(repr=False)
    authentication_key: str = Field(repr=False)
    master_key: str | None = Field(default=None, repr=False)
    signing_key_file: Path | None = None
    client_signing_file: Path | None = None
    agreement_key_file: Path | None = None
    client_agreement_file: Path | None = None
    sign_apdus: bool = False


class NoSecurityConfig(_Strict):
    """The meter believes anybody."""

    kind: Literal["none"]


class LlsConfig(_Strict):
    """The password the meter demands."""

    kind: Literal["lls"]
    password: str = Field(repr=False)
    ciphering: CipheringConfig | None = None


class HashedConfig(_Strict):
    """The secret that is hashed, and the meter's system title where nothing is ciphered."""

    kind: Literal["hls-md5", "hls-sha1", "hls-sha256"]
    secret: str = Field(repr=False)
    system_title: str = ""
    ciphering: CipheringConfig | None = None


class GmacConfig(CipheringConfig):
    """The keys prove both sides, and cipher."""

    kind: Literal["hls-gmac"]


class EcdsaConfig(CipheringConfig):
    """Signatures prove both sides."""

    kind: Literal["hls-ecdsa"]
    suite: Literal[1, 2]


SecurityConfig = Annotated[
    NoSecurityConfig | LlsConfig | HashedConfig | GmacConfig | EcdsaConfig,
    Field(discriminator="kind"),
]
_MECHANISMS = {
    "hls-md5": Mechanism.MD5,
    "hls-sha1": Mechanism.SHA1,
    "hls-sha256": Mechanism.SHA256,
}


def believed(config: SecurityConfig, clock: Clock) -> Authentication:
    """Return what the meter believes; its counters begin at the clock's seconds.

    A meter that starts again must not count from where it began before. What it heard its
    clients count is forgotten then: real ones keep that.
    """
    match config:
        case NoSecurityConfig():
            return NoSecurity()
        case LlsConfig(password=password, ciphering=ciphering):
            return Password(secret=password.encode(), ciphering=_optional(ciphering, clock))
        case HashedConfig(ciphering=ciphering):
            own = _optional(ciphering, clock)
            title = bytes.fromhex(config.system_title)
            return Hashed(
                mechanism=_MECHANISMS[config.kind],
                secret=config.secret.encode(),
                system_title=title if own is None else own.system_title,
                ciphering=own,
            )
        case GmacConfig():
            return _ciphering(Gmac, config, clock)
        case EcdsaConfig():
            return _ciphering(Ecdsa, config, clock)


def _optional(config: CipheringConfig | None, clock: Clock) -> Ciphering | None:
    return None if config is None else _ciphering(Ciphering, config, clock)


def _ciphering(kind: type[_Kind], config: CipheringConfig, clock: Clock) -> _Kind:
    return kind(
        system_title=bytes.fromhex(config.system_title),
        keys=Keys(
            suite=Suite(config.suite),
            encryption=bytes.fromhex(config.encryption_key),
            authentication=bytes.fromhex(config.authentication_key),
            master=bytes.fromhex(config.master_key or "") or None,
        ),
        counters=MemoryCounters(first=int(clock.now_utc().timestamp())),
        key_pairs=_key_pairs(config),
        signs=config.sign_apdus,
    )


def _key_pairs(config: CipheringConfig) -> KeyPairs:
    return KeyPairs(
        signing=_read(read_private_key, "signing_key_file", config.signing_key_file),
        peer_signing=_read(read_public_key, "client_signing_file", config.client_signing_file),
        agreement=_read(read_private_key, "agreement_key_file", config.agreement_key_file),
        peer_agreement=_read(
            read_public_key, "client_agreement_file", config.client_agreement_file
        ),
    )


def _read(read: Callable[[str, bytes], _Key], name: str, path: Path | None) -> _Key | None:
    return None if path is None else read(name, path.read_bytes())
