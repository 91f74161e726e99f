"""Commands as JSON has them, for programs and for the command line; no secret is in them."""

import json
from collections.abc import Sequence

from quince.headend.commands.rules import KeptCommand, parameters_of
from quince.headend.commands.store import AuditEntry
from quince.headend.ingest.service import LoggedResult
from quince.protocols.gateway.commands import operation_name

JSON_MEDIA = "application/json"


def command_document(kept: KeptCommand) -> dict[str, object]:
    """Return a command: moments in ISO 8601; null for what has not been."""
    asked = kept.command
    return {
        "id": asked.command_id.hex(),
        "tenant_id": kept.tenant_id,
        "cell": asked.address.cell,
        "gateway": asked.address.gateway,
        "meter": asked.meter_id or None,
        "operation": operation_name(asked.operation),
        "parameters": parameters_of(asked.operation),
        "state": kept.state.value,
        "danger": None if kept.danger is None else kept.danger.value,
        "requested_by": kept.requested_by.name,
        "reason": kept.reason,
        "requested": kept.requested_utc.isoformat(),
        "approved_by": None if kept.approved_by is None else kept.approved_by.name,
        "ready": None if kept.ready_utc is None else kept.ready_utc.isoformat(),
        "not_after": None if kept.ready_utc is None else asked.not_after_utc.isoformat(),
        "publications": kept.publications,
        "ended": None if kept.ended_utc is None else kept.ended_utc.isoformat(),
        "code": kept.code,
        "detail": kept.detail,
        "parts_done": kept.parts_done,
        "parts": kept.parts,
    }


def whole_document(
    kept: KeptCommand, audit: Sequence[AuditEntry], results: Sequence[LoggedResult]
) -> dict[str, object]:
    """Return a command with who did what, and with everything its gateway said."""
    return {
        **command_document(kept),
        "audit": [
            {"at": entry.at_utc.isoformat(), "who": entry.who, "act": entry.act} for entry in audit
        ],
        "results": [result_document(one) for one in results],
    }


def result_document(logged: LoggedResult) -> dict[str, object]:
    """Return one stage; its body where that is JSON, else how many octets it has."""
    result = logged.result
    return {
        "stage": result.stage.name.lower(),
        "at": result.at_utc.isoformat(),
        "parts_done": result.parts_done,
        "parts": result.parts,
        "code": result.code,
        "detail": result.detail,
        "media": result.media,
        "octets": len(result.body),
        "body": _body(result.body) if result.media == JSON_MEDIA else None,
    }


def _body(octets: bytes) -> object:
    """Return what a gateway wrote; None if it is not the JSON it claims to be."""
    try:
        return json.loads(octets)
    except (ValueError, RecursionError):
        return None
