"""The main job, on one screen: from the meters' bytes to a bill anyone can check.

Everything is real but the meters' energy: separate processes, sockets, a pseudo-terminal, files.
A minute of the demonstration's life takes a second.
"""

import argparse
import signal
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from demo.stage import Stage, StageError, fill_in, free_ports, newest_log_lines

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent
START_UTC = datetime(2026, 5, 2, 6, 0, tzinfo=UTC)  # midnight in El Salvador
LOCAL = ZoneInfo("America/El_Salvador")
SPEED = 60
HEADSTART = timedelta(seconds=8)  # real time for the processes to start before midnight strikes
BILLED_DAYS = ("2026-04-30", "2026-05-01")  # a dry-season and a wet-season day
BILLED_METER, DARK_METER, SAMPLED_METER = "QN-1001", "QN-1002", "QN-1003"
ACCOUNT, CUSTOMER, OTHER_CUSTOMER = "A-1", "C-1", "C-2"
PATIENCE_S = 90
CHECKED = {
    "conserved": "= register",
    "not_conserved": "≠ REGISTER",
    "unknown": "register not read",
}


def main() -> int:
    """Play the demonstration; 0 if every scene came out as it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="check, and stop at the end")
    parser.add_argument("--broker", choices=["auto", "mosquitto", "embedded"], default="auto")
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", help="files and logs")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):  # the same end, started from a shell or not
        signal.signal(number, signal.default_int_handler)
    with ExitStack() as exits:
        stage = exits.enter_context(Stage(options.folder))
        try:
            play(stage, options.broker)
            if not options.once:
                print("\nCtrl-C stops everything; what was written stays in", options.folder)
                signal.pause()
        except StageError as error:
            print(f"\n✗ {error}", file=sys.stderr)
            print(newest_log_lines(options.folder), file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nstopped")
    return 0


def play(stage: Stage, broker: str) -> None:
    """Every scene, in the order of the data."""
    ports = free_ports(
        *("broker", "dlms_wrapper", "dlms_hdlc", "modbus", "push", "dashboard", "portal")
    )
    anchor_utc = datetime.now(UTC) + HEADSTART
    clock = f"{START_UTC.isoformat()}@{anchor_utc.isoformat()}x{SPEED}"
    database = stage.folder / "headend.db"
    environment = {
        "QUINCE_FIRMWARE_SIMS_CLOCK": clock,
        "QUINCE_EDGE_CLOCK": clock,
        "QUINCE_HEADEND_CLOCK": clock,
        "QUINCE_HEADEND_DATABASE": str(database),
        "QUINCE_HEADEND_CELL": "sv-1",
        "QUINCE_HEADEND_MQTT_PORT": str(ports["broker"]),
        "QUINCE_HEADEND_MQTT_USERNAME": "headend",
        "QUINCE_HEADEND_HTTP_PORT": str(ports["dashboard"]),
        "QUINCE_BILLING_CLOCK": clock,
        "QUINCE_BILLING_DATABASE": str(database),
        "QUINCE_PORTAL_API_DATABASE": str(database),
        "QUINCE_PORTAL_API_HTTP_PORT": str(ports["portal"]),
    }
    stage.environment |= environment
    names = {f"{name}_port": str(port) for name, port in ports.items()} | {
        "optical_line": str(stage.folder / "optical"),
        "modbus_profile": str(ROOT / "edge/src/quince/edge/profiles/schneider_iem3155.toml"),
    }
    print("Quince · 2 May 2026 in El Salvador, a minute a second\n")
    start_broker(stage, broker, ports["broker"])
    start_headend(stage, ports)
    start_meters_and_gateway(stage, names, ports)
    dashboard = f"http://127.0.0.1:{ports['dashboard']}"
    watch_intervals_arrive(stage, dashboard)
    tokens = open_the_office(stage, ports)
    watch_the_outage(stage, dashboard)
    watch_the_sampled_meter(stage, dashboard)
    print_the_bill(stage)
    visit_the_portal(stage, ports, tokens)


def start_broker(stage: Stage, choice: str, port: int) -> None:
    """Mosquitto if there is one, else the embedded broker, which speaks MQTT 3.1.1 from memory."""
    mosquitto = stage.which("mosquitto")
    if choice == "mosquitto" and mosquitto is None:
        raise StageError("mosquitto is not installed")
    if choice != "embedded" and mosquitto is not None:
        config = stage.folder / "mosquitto.conf"
        config.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
        )
        stage.start("broker", mosquitto, "-c", str(config))
        name = "Mosquitto"
    else:
        stage.start("broker", sys.executable, str(HERE / "embedded_broker.py"), str(port))
        name = "embedded, amqtt"
    stage.wait_for_port(port)
    say("broker", f"{name}, 127.0.0.1:{port}")


def start_headend(stage: Stage, ports: dict[str, int]) -> None:
    """Register what is known beforehand, then ingest."""
    stage.run("quince-headend", "import", str(HERE / "assets.toml"))
    stage.start("headend", "quince-headend", "run")
    stage.wait_for_port(ports["dashboard"])
    say("head-end", f"cell sv-1, dashboard http://127.0.0.1:{ports['dashboard']}/")


def start_meters_and_gateway(stage: Stage, names: dict[str, str], ports: dict[str, int]) -> None:
    """Four meters on four kinds of line, and the gateway that reads them."""
    meters = fill_in(HERE / "meters.toml", names, stage.folder)
    stage.start("meters", "quince-firmware-sims", "run", "--scenario", str(meters))
    for line in ("dlms_wrapper", "dlms_hdlc", "modbus"):
        stage.wait_for_port(ports[line])
    stage.wait_until("the optical meter", (stage.folder / "optical").exists, PATIENCE_S)
    say("meters", "DLMS/TCP (HLS-GMAC), DLMS/HDLC (LLS), Modbus TCP, optical 300→9600 Bd")
    gateway = fill_in(HERE / "gateway.toml", names, stage.folder)
    stage.start("gateway", "quince-edge", "run", "--config", str(gateway))
    stage.wait_for_port(ports["push"])
    say("gateway", "gw-0001 reads them, keeps every interval in its outbox, publishes over MQTT")


def watch_intervals_arrive(stage: Stage, dashboard: str) -> None:
    """Wait until both days of every meter with a load profile are complete."""

    def days() -> list[dict[str, Any]]:
        table = stage.get_json(f"{dashboard}/api/completeness?day={BILLED_DAYS[-1]}")
        return [
            row
            for row in table["rows"]
            if row["day"] in BILLED_DAYS and row["meter"] != SAMPLED_METER
        ]

    def complete() -> bool:
        return all(row["received"] == row["expected"] for row in days())

    stage.wait_until("two complete days of intervals", complete, PATIENCE_S)
    for row in days():
        energy_kwh = f"{row['energy'] / 1000:.3f} kWh"
        counts = f"{row['received']}/{row['expected']} intervals"
        say(
            f"  {row['day'][5:]}",
            f"{row['meter']}  {counts} {energy_kwh:>12}  {CHECKED[row['conservation']]}",
        )


def watch_the_outage(stage: Stage, dashboard: str) -> None:
    """Wait until the dark meter's outage has opened and closed."""

    def outages() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = stage.get_json(f"{dashboard}/api/outages")["outages"]
        return found

    stage.wait_until("a last gasp", lambda: bool(outages()), PATIENCE_S)
    say("outage", f"last gasp of {DARK_METER} at {local_time(outages()[0]['start'])}")
    stage.wait_until("the restoration", lambda: outages()[0]["end"] is not None, PATIENCE_S)
    minutes = round(outages()[0]["duration_s"] / 60)
    say("outage", f"restored at {local_time(outages()[0]['end'])}, after {minutes} minutes")


def watch_the_sampled_meter(stage: Stage, dashboard: str) -> None:
    """Wait until the meter without a profile has an interval between two timely samples."""

    def energy_wh() -> int:
        table = stage.get_json(f"{dashboard}/api/completeness?day={START_UTC.date()}")
        return sum(row["energy"] for row in table["rows"] if row["meter"] == SAMPLED_METER)

    stage.wait_until("a sampled interval", lambda: energy_wh() > 0, PATIENCE_S)
    say("sampled", f"{SAMPLED_METER}, which keeps no profile, has its first quarter-hours of today")


def local_time(moment: str) -> str:
    """Return the time in El Salvador."""
    return f"{datetime.fromisoformat(moment).astimezone(LOCAL):%H:%M}"


def open_the_office(stage: Stage, ports: dict[str, int]) -> dict[str, str]:
    """Import tariff and customers, give each a token, and serve the portal."""
    stage.run("quince-billing", "import-tariff", str(HERE / "tariff.toml"))
    stage.run("quince-billing", "import-customers", str(HERE / "customers.toml"))
    issue = ("quince-headend", "token", "issue", "--tenant", "1", "--customer")
    stage.start("portal", "quince-portal-api", "serve")
    tokens = {name: stage.run(*issue, name).strip() for name in (CUSTOMER, OTHER_CUSTOMER)}
    stage.wait_for_port(ports["portal"])
    return tokens


def print_the_bill(stage: Stage) -> None:
    """Rate both days and print what the customer gets."""
    first, last = BILLED_DAYS
    print()
    print(stage.run("quince-billing", "run", "--account", ACCOUNT, "--from", first, "--to", last))


def visit_the_portal(stage: Stage, ports: dict[str, int], tokens: dict[str, str]) -> None:
    """Show the customer's data to the customer's token, and 403 to another's."""
    base = f"http://127.0.0.1:{ports['portal']}/api"
    usage = f"meters/{BILLED_METER}/usage?from={BILLED_DAYS[0]}&to={BILLED_DAYS[1]}"
    for path in ("accounts", usage, "bills"):
        stage.expect(200, f"{base}/{path}", tokens[CUSTOMER])
    stage.expect(403, f"{base}/{usage}", tokens[OTHER_CUSTOMER])
    print(f"dashboard  http://127.0.0.1:{ports['dashboard']}/")
    print(f"portal     TOKEN={tokens[CUSTOMER]}")
    for path in ("accounts", usage, "bills"):
        print(f"           curl -H \"Authorization: Bearer $TOKEN\" '{base}/{path}'")
    print(f"           another customer's token, {tokens[OTHER_CUSTOMER]}, gets 403")


def say(what: str, how: str) -> None:
    """One line of the screen."""
    print(f"{what:<10} {how}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
