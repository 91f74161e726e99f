"""A configuration from the head-end: opened, checked whole, kept on disk, then in force.

The gateway keeps what its own file says of itself, its broker and its head-end; the meters are
the revision's. Its file holds meters' keys: nobody else may read it.
"""

from collections.abc import Callable

from quince.edge.commands.outcome import Outcome, json_body
from quince.edge.commands.own_key import OwnKey
from quince.edge.commands.rules import Refusal, RefusedError
from quince.edge.config import GatewayConfig, revise, revision_file
from quince.edge.errors import StorageError
from quince.edge.files import replacing
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
        try:
            with replacing(revision_file(config.outbox), text.encode(), mode=0o600):
                self._serve(config)
        except OSError as error:
            raise StorageError(f"the revision cannot be kept: {error.strerror}") from error
        self._config = config


def _text(revision: int, plain: bytes) -> str:
    try:
        return f"revision = {revision}\n{plain.decode()}"
    except UnicodeDecodeError as error:
        raise InvalidValueError("configuration", "…", "is no text") from error
