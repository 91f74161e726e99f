"""The gateway's certificate key: it opens what was sealed for this gateway alone."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from quince.edge.commands.rules import Refusal, RefusedError
from quince.protocols.gateway.sealing import unseal


class OwnKey:
    """Where the key is; it is read each time, for a renewal may have replaced it."""

    def __init__(self, key_file: Path | None) -> None:
        """Take the file; None for a link without certificates."""
        self._file = key_file

    def unseal(self, sealed: bytes, purpose: bytes) -> bytes:
        """Return the plain octets.

        RefusedError if there is no P-256 key to open with; SealError for what is not ours.
        """
        return unseal(sealed, self._read(), purpose=purpose)

    def _read(self) -> ec.EllipticCurvePrivateKey:
        if self._file is None:
            raise RefusedError(Refusal.NO_KEY, "this gateway has no certificate to open seals with")
        try:
            key = load_pem_private_key(self._file.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise RefusedError(Refusal.NO_KEY, f"{self._file} is no key to open with") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise RefusedError(Refusal.NO_KEY, f"{self._file} is no P-256 key")
        return key
