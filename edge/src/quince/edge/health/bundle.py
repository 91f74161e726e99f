"""The diagnostic bundle: what somebody far away needs to see what is wrong, and no secret.

Law: no reading, no key, no password; every text passes through the redaction before it is packed.
"""

import io
import json
import platform
import zipfile
from dataclasses import asdict
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from quince.edge.config import GatewayConfig
from quince.edge.errors import OutboxError
from quince.edge.health.checks import examine
from quince.edge.health.facts import gather
from quince.edge.health.heartbeat import health_file, read_health
from quince.edge.health.redaction import redact, redacted_config
from quince.edge.outbox.view import waiting_document
from quince.model.clock import Clock

BUNDLE_BYTES_MAX = 180_000  # a command's result carries it, and takes 192 KiB
HEADERS_PER_LANE = 50
LOG_BYTES_MAX = 512 * 1024  # read of a log's end; as it packs well, most of it fits
_LOG = "log.txt"
_ZIP_MOMENT = (1980, 1, 1, 0, 0, 0)  # the manifest says when; an archive's own time has no zone


def make_bundle(
    config_path: Path,
    config: GatewayConfig,
    clock: Clock,
    *,
    log_file: Path | None = None,
    reach: bool = False,
) -> bytes:
    """Return a ZIP archive of at most BUNDLE_BYTES_MAX octets.

    `reach` for the broker takes seconds, and a running gateway knows its contact anyway.
    """
    facts = gather(config_path, config, clock, reach=reach)
    documents = {
        "manifest.json": _manifest(config, clock),
        "config.json": redacted_config(config),
        "health.json": read_health(health_file(config)),
        "doctor.json": [asdict(finding) for finding in examine(facts)],
        "outbox.json": _outbox(config.outbox),
    }
    texts = {
        name: redact(json.dumps(document, indent=1, default=str), config)
        for name, document in documents.items()
    }
    log = {} if log_file is None else {_LOG: redact(_tail(log_file), config)}
    return _packed({**texts, **log})


def _manifest(config: GatewayConfig, clock: Clock) -> dict[str, Any]:
    return {
        "gateway": config.gateway,
        "made_utc": clock.now_utc().isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "versions": {one.name: one.version for one in distributions()},
    }


def _outbox(path: Path) -> dict[str, Any]:
    try:
        return waiting_document(path, heads=HEADERS_PER_LANE)
    except OutboxError as error:
        return {"error": str(error)}


def _tail(path: Path) -> str:
    """Return the last whole lines of a log; why not, if it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, io.SEEK_END) - LOG_BYTES_MAX))
            return file.read(LOG_BYTES_MAX).decode("utf-8", errors="replace")
    except OSError as error:
        return str(error)


def _packed(texts: dict[str, str]) -> bytes:
    """Pack, with less and less of the longest text until it fits; of a log the end stays."""
    while len(packed := _zip(texts)) > BUNDLE_BYTES_MAX:
        name = max(texts, key=lambda one: len(texts[one]))
        half = len(texts[name]) // 2
        texts = {**texts, name: texts[name][half:] if name == _LOG else texts[name][:half]}
    return packed


def _zip(texts: dict[str, str]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name, _ZIP_MOMENT), text, zipfile.ZIP_DEFLATED)
    return whole.getvalue()
