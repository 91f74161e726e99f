"""Who the technician is, in files: the key that signs reports, the token the head-end gave."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from quince.edge.files import private_folder, replace_file
from quince.model.errors import InvalidValueError
from quince.model.rng import Rng

_SEED_OCTETS = 32
_TOKEN_CHARS_MAX = 200  # the head-end's have half of it


def technician_key(folder: Path, rng: Rng) -> Ed25519PrivateKey:
    """Return the key that signs this technician's reports; it is made at its first use."""
    path = private_folder(folder) / "technician.key"
    if not path.exists():
        made = Ed25519PrivateKey.from_private_bytes(rng.randbytes(_SEED_OCTETS))
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        replace_file(path, pem, mode=0o600)
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise InvalidValueError("technician key", str(path), str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidValueError("technician key", str(path), "not an Ed25519 key")
    return key


def keep_token(folder: Path, token: str) -> None:
    """Keep the word that the head-end knows this technician by."""
    if not (token.isascii() and token.isprintable() and 0 < len(token) <= _TOKEN_CHARS_MAX):
        raise InvalidValueError("token", "…", f"1..{_TOKEN_CHARS_MAX} printable characters")
    replace_file(private_folder(folder) / "technician.token", token.encode(), mode=0o600)


def kept_token(folder: Path) -> str:
    """Return it; InvalidValueError before `keep_token`."""
    path = folder / "technician.token"
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValueError("token", str(path), "none is kept: `orders token`") from error
