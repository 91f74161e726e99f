"""The key gateways believe: an Ed25519 file that nobody but its owner reads."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from quince.headend.platform.secret_files import write_secret
from quince.model.errors import InvalidValueError
from quince.protocols.gateway.commands import Command
from quince.protocols.gateway.signing import sign_command

_OTHERS = 0o077


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSigner:
    """A name gateways know and the key behind it."""

    name: str
    key: Ed25519PrivateKey

    def sign(self, command: Command) -> bytes:
        """Return the message a gateway obeys."""
        return sign_command(command, signer=self.name, key=self.key)

    @property
    def public_key_hex(self) -> str:
        """What a gateway's configuration names beside `name`: 64 hexadecimal digits."""
        return self.key.public_key().public_bytes_raw().hex()


def new_signer(name: str, path: Path) -> CommandSigner:
    """Make a key and write it; InvalidValueError if there is a file already."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_secret(path, pem)
    return CommandSigner(name=name, key=key)


def read_signer(name: str, path: Path) -> CommandSigner:
    """Read a key; InvalidValueError if it is none, or if others than its owner can read it."""
    try:
        if path.stat().st_mode & _OTHERS:
            raise InvalidValueError("command_key", str(path), "others can read it: chmod 600")
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidValueError("command_key", str(path), f"no private key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidValueError("command_key", str(path), "not an Ed25519 key")
    return CommandSigner(name=name, key=key)
