"""What reads messages between gateways and the head-end."""

from contextlib import suppress
from datetime import UTC, datetime

from quince.model.errors import InvalidValueError
from quince.model.interval import IntervalSeries
from quince.model.obis import ACTIVE_IMPORT_INTERVAL
from quince.model.quality import Quality
from quince.protocols.gateway import messages
from quince.protocols.gateway.topics import Lane, parse_up


def _topic(octets: bytes) -> None:
    with suppress(InvalidValueError):  # a topic is a name: it is refused as a value
        parse_up(octets.decode("utf-8", "surrogateescape"))


HARNESSES = {
    "gateway-uplink": messages.decode_uplink,
    "gateway-envelope": messages.decode_envelope,
    "gateway-ack": messages.decode_ack,
    "gateway-topic": _topic,
}
SEEDS = [
    messages.encode_uplink(
        messages.Envelope(
            epoch=1, lane=Lane.LIVE, seq=7, oldest_seq=3, sent_utc=datetime(2026, 5, 1, tzinfo=UTC)
        ),
        messages.encode_content(
            messages.Content(
                series=(
                    IntervalSeries(
                        meter_id="m-1",
                        obis=ACTIVE_IMPORT_INTERVAL,
                        start_utc=datetime(2026, 5, 1, tzinfo=UTC),
                        values=(100, None, 102),
                        quality=(Quality.GOOD, Quality.MISSING, Quality.POWER_FAIL),
                    ),
                ),
            )
        ),
    ),
    messages.encode_ack(messages.Watermark(epoch=1, lane=Lane.EVENTS, upto=7)),
    b"quince/v1/north/gw-1/up/iv",
]
