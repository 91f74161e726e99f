"""A DLMS meter's security as the configuration says it, and what that comes to.

Keys are hexadecimal digits, of the length that the suite wants; key pairs are PEM files.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from quince.edge.readers.dlms.counters import CounterStore, key_id
from quince.model.errors import InvalidValueError
from quince.protocols.dlms.apdu.acse import Mechanism
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
from quince.protocols.dlms.security.envelopes import Form
from quince.protocols.dlms.security.pem import read_private_key, read_public_key
from quince.protocols.dlms.security.suite import Keys, Suite

_Kind = TypeVar("_Kind", bound=Ciphering)
_Key = TypeVar("_Key")
_Title = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{16}$")]
_Hex = Annotated[SecretStr, Field(description="hexadecimal digits, 16 octets or 32 in suite 2")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DlmsCiphering(_Strict):
    """Keys shared with the meter, and the form in which they seal requests."""

    system_title: _Title = Field(description="this client's, 8 octets")
    meter_system_title: _Title | None = Field(
        default=None,
        description="the meter's; without it what it pushes under its keys cannot be opened",
    )
    suite: Literal[0, 1, 2] = 0
    form: Form = Form.SERVICE_SPECIFIC
    encryption_key: _Hex
    authentication_key: _Hex
    master_key: _Hex | None = Field(default=None, description="for key changes and wrapped keys")
    signing_key_file: Path | None = Field(default=None, description="our private key")
    meter_signing_file: Path | None = Field(default=None, description="its public key")
    agreement_key_file: Path | None = Field(default=None, description="our private key")
    meter_agreement_file: Path | None = Field(default=None, description="its public key")
    sign_apdus: bool = Field(default=False, description="sign requests, want answers signed")


class DlmsNoSecurity(_Strict):
    """The public client: whatever the meter tells anybody."""

    kind: Literal["none"]


class DlmsLls(_Strict):
    """Low-level security: a password in the clear, for lines nobody else can hear."""

    kind: Literal["lls"]
    password: SecretStr
    ciphering: DlmsCiphering | None = None


class DlmsHashed(_Strict):
    """High-level security 3 (MD5), 4 (SHA-1) or 6 (SHA-256); the first two for old meters alone."""

    kind: Literal["hls-md5", "hls-sha1", "hls-sha256"]
    secret: SecretStr
    system_title: _Title | None = Field(default=None, description="where nothing is ciphered")
    ciphering: DlmsCiphering | None = None


class DlmsGmac(DlmsCiphering):
    """High-level security 5 (GMAC): the keys prove us, and cipher."""

    kind: Literal["hls-gmac"]


class DlmsEcdsa(DlmsCiphering):
    """High-level security 7 (ECDSA): signatures prove both sides, in suite 1 or 2."""

    kind: Literal["hls-ecdsa"]
    suite: Literal[1, 2]


DlmsSecurity = Annotated[
    DlmsNoSecurity | DlmsLls | DlmsHashed | DlmsGmac | DlmsEcdsa, Field(discriminator="kind")
]
_MECHANISMS = {
    "hls-md5": Mechanism.MD5,
    "hls-sha1": Mechanism.SHA1,
    "hls-sha256": Mechanism.SHA256,
}


def authentication(security: DlmsSecurity, counters: CounterStore) -> Authentication:
    """Return what the configuration comes to; InvalidValueError says what is wrong with it."""
    match security:
        case DlmsNoSecurity():
            return NoSecurity()
        case DlmsLls(password=password):
            return Password(
                secret=password.get_secret_value().encode(),
                ciphering=_optional_ciphering(security.ciphering, counters),
            )
        case DlmsHashed(secret=secret):
            own = _optional_ciphering(security.ciphering, counters)
            said = security.system_title or ("" if own is None else own.system_title.hex())
            return Hashed(
                mechanism=_MECHANISMS[security.kind],
                secret=secret.get_secret_value().encode(),
                system_title=bytes.fromhex(said),
                ciphering=own,
            )
        case DlmsGmac():
            return _ciphering(Gmac, security, counters)
        case DlmsEcdsa():
            return _ciphering(Ecdsa, security, counters)


def _optional_ciphering(config: DlmsCiphering | None, counters: CounterStore) -> Ciphering | None:
    return None if config is None else _ciphering(Ciphering, config, counters)


def _ciphering(kind: type[_Kind], config: DlmsCiphering, counters: CounterStore) -> _Kind:
    title, keys = bytes.fromhex(config.system_title), keys_of(config)
    return kind(
        system_title=title,
        keys=keys,
        counters=counters.of(key_id(title, keys.encryption)),
        form=config.form,
        peer_title=bytes.fromhex(config.meter_system_title or "") or None,
        key_pairs=KeyPairs(
            signing=_read(read_private_key, "signing_key_file", config.signing_key_file),
            peer_signing=_read(read_public_key, "meter_signing_file", config.meter_signing_file),
            agreement=_read(read_private_key, "agreement_key_file", config.agreement_key_file),
            peer_agreement=_read(
                read_public_key, "meter_agreement_file", config.meter_agreement_file
            ),
        ),
        signs=config.sign_apdus,
    )


def keys_of(config: DlmsCiphering) -> Keys:
    """Return the keys; InvalidValueError if one is no hexadecimal digits, or of a wrong length."""
    return Keys(
        suite=Suite(config.suite),
        encryption=_octets("encryption_key", config.encryption_key),
        authentication=_octets("authentication_key", config.authentication_key),
        master=None if config.master_key is None else _octets("master_key", config.master_key),
    )


def _octets(name: str, digits: SecretStr) -> bytes:
    try:
        return bytes.fromhex(digits.get_secret_value())
    except ValueError:
        raise InvalidValueError(name, "…", "hexadecimal digits") from None


def _read(read: Callable[[str, bytes], _Key], name: str, path: Path | None) -> _Key | None:
    if path is None:
        return None
    try:
        return read(name, path.read_bytes())
    except OSError as error:
        raise InvalidValueError(name, str(path), error.strerror or "cannot be read") from error
