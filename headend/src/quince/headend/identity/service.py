"""Issuing tokens, and telling who bears one."""

import hmac
from dataclasses import dataclass
from typing import Protocol

from quince.headend.identity.rules import (
    TOKEN_CHARS_MAX,
    Principal,
    RandomOctets,
    new_token,
    token_digest,
)


class TokenStore(Protocol):
    """Where digests stay."""

    async def add(self, digest: bytes, principal: Principal) -> None:
        """Keep a new token's digest."""
        ...

    async def find(self, digest: bytes) -> tuple[bytes, Principal] | None:
        """Return the digest as kept, and its principal."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Tokens, bound to their store and to where randomness comes from."""

    store: TokenStore
    random_octets: RandomOctets

    async def issue_token(self, principal: Principal) -> str:
        """Return a new token for `principal`; only its hash is kept, so it is shown once."""
        token = new_token(self.random_octets)
        await self.store.add(token_digest(token), principal)
        return token

    async def authenticate(self, token: str) -> Principal | None:
        """Return who bears the token, or None.

        The index is searched by hash, so how long that takes tells nothing about the token.
        """
        if len(token) > TOKEN_CHARS_MAX:
            return None
        digest = token_digest(token)
        found = await self.store.find(digest)
        if found is None or not hmac.compare_digest(found[0], digest):
            return None
        return found[1]
