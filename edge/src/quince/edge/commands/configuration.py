"""A configuration from the head-end: opened, checked whole, kept on disk, then in force.

The gateway keeps what its own file says of itself, its broker and its head-end; the meters are
the revision's. Its file holds meters' keys: nobody else may read it.
"""

import os
from collections.abc import Callable
from pathlib import Path

from quince.edge.commands.outcome import Outcome, json_body
from quince.edge.commands.own_key import OwnKey
from quince.edge.commands.rules import Refusal, RefusedError
from quince.edge.config import GatewayConfig, revise, revision_file
from quince.edge.errors import StorageError
from quince.model.errors import InvalidValueError
from quince.protocols.gateway.commands import Configure, configuration_purpose


class Configuration:
    """The configuration in force."""

    def __init__(
        self, config: GatewayConfig, own_key: OwnKey, *, serve: Callable[[GatewayConfig], None]
    ) -> None:
        """Begin with what was loaded; `serve` puts another in force, or refuses it."""
        self._config = config
        self._own_key = own_key
        self._serve = serve

    def take(self, desired: Configure) -> Outcome:
        """Put a higher revision in force, and keep it for the next start.

        The same revision again is what a stop in the middle leaves, and is done. RefusedError or
        InvalidValueError, with the field's name, changes nothing.
        """
        if desired.revision < self._config.revision:
            raise RefusedError(Refusal.REVISION, f"revision {self._config.revision} is in force")
        if desired.revision > self._config.revision:
            self._replace(desired)
        document = {"revision": desired.revision, "meters": len(self._config.meters)}
        return Outcome(body=json_body(document))

    def _replace(self, desired: Configure) -> None:
        purpose = configuration_purpose(desired.revision)
        text = _text(desired.revision, self._own_key.unseal(desired.sealed, purpose))
        config = revise(self._config, text)
        path = revision_file(config.outbox)
        fresh = path.with_name(f"{path.name}.new")
        try:
            _write(fresh, text)
            self._serve(config)
            fresh.replace(path)
            _settle(path.parent)
        except OSError as error:
            raise StorageError(f"the revision cannot be kept: {error.strerror}") from error
        finally:
            fresh.unlink(missing_ok=True)
        self._config = config


def _text(revision: int, plain: bytes) -> str:
    try:
        return f"revision = {revision}\n{plain.decode()}"
    except UnicodeDecodeError as error:
        raise InvalidValueError("configuration", "…", "is no text") from error


def _write(path: Path, text: str) -> None:
    """Write a file for its owner's eyes alone, and wait for the disk."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _settle(folder: Path) -> None:
    """Wait until a renamed file bears its new name on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
