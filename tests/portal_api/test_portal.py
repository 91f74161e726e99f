"""The customers' door on a real database: what is theirs, and 403 for everything else."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from quince.billing.contracts.service import import_tariff
from quince.billing.customers.rules import parse_roster
from quince.billing.invoices.service import issue
from quince.billing.runs.service import bill_account
from quince.billing.settings import BillingSettings
from quince.billing.tariff.document import parse_tariff
from quince.billing.tariff.period import Period
from quince.billing.wiring import open_office
from quince.firmware_sims.load import Household
from quince.headend.assets.rules import read_registration
from quince.headend.identity.rules import Principal, Role
from quince.headend.ingest.service import Received
from quince.headend.wiring import open_identity, open_ingest, register
from quince.model.interval import STEP, IntervalSeries
from quince.model.obis import ACTIVE_IMPORT_INTERVAL
from quince.model.quality import Quality
from quince.portal_api.app import create_app
from quince.portal_api.settings import PortalSettings
from quince.portal_api.wiring import open_door
from quince.protocols.gateway.messages import Content, Envelope, encode_content, encode_uplink
from quince.protocols.gateway.topics import GatewayAddress, Lane, Way

DEMO = Path(__file__).parents[2] / "demo"
MIDNIGHT = datetime(2026, 4, 30, 6, 0, tzinfo=UTC)
HOUSEHOLD = Household(seed=1)
DAYS = "from=2026-04-30&to=2026-05-01"

ROSTER = """
customers = [{ id = "C-1", name = "Uno" }, { id = "C-2", name = "Dos" }]
[[accounts]]
id = "A-1"
customer = "C-1"
premise = "P-1"
tariff = "SV-HORARIO"
meters = [{ id = "QN-1001", first_day = 2026-01-01, last_day = 2026-05-01 }]
[[accounts]]
id = "A-2"
customer = "C-2"
premise = "P-1"
tariff = "SV-HORARIO"
meters = [{ id = "QN-1001", first_day = 2026-05-02 }]
"""


def uplink():
    values = tuple(HOUSEHOLD.interval_wh(MIDNIGHT + i * STEP) for i in range(192))
    series = IntervalSeries(
        meter_id="QN-1001",
        obis=ACTIVE_IMPORT_INTERVAL,
        start_utc=MIDNIGHT,
        values=values,
        quality=(Quality.CLOCK_DOUBTFUL, *[Quality.GOOD] * 191),
    )
    envelope = Envelope(epoch=1, lane=Lane.LIVE, seq=1, oldest_seq=1, sent_utc=MIDNIGHT)
    topic = GatewayAddress(cell="sv-1", gateway="gw-0001").up(Way.INTERVALS)
    payload = encode_uplink(envelope, encode_content(Content(series=(series,))))
    return Received(topic=topic, payload=payload, received_utc=MIDNIGHT + timedelta(days=2))


async def furnish(database):
    """Put two days, a bill and four tokens into a database."""
    await register(database, read_registration((DEMO / "assets.toml").read_text()))
    with open_ingest(database) as ingest:
        ingest([uplink()])
    async with open_office(BillingSettings(database=database)) as office:
        await office.customers.put_roster(tenant_id=1, roster=parse_roster(ROSTER))
        tariff = parse_tariff((DEMO / "tariff.toml").read_text())
        await import_tariff(office.contracts, tenant_id=1, tariff=tariff)
        period = Period(first_day=date(2026, 4, 30), last_day=date(2026, 5, 1))
        invoice = await bill_account(office, tenant_id=1, account_id="A-1", period=period)
        march = Period(first_day=date(2026, 3, 1), last_day=date(2026, 3, 31))
        before = replace(invoice.bill.heading, customer_id="C-0", period=march)
        earlier = replace(invoice.bill, bill_id="predecessor", heading=before)
        await issue(office.invoices, bill=earlier, issued_utc=MIDNIGHT)
    async with open_identity(database) as identity:
        tokens = {
            name: await identity.issue_token(principal)
            for name, principal in {
                "own": Principal(tenant_id=1, role=Role.CUSTOMER, customer_id="C-1"),
                "other": Principal(tenant_id=1, role=Role.CUSTOMER, customer_id="C-2"),
                "foreign": Principal(tenant_id=2, role=Role.CUSTOMER, customer_id="C-1"),
                "staff": Principal(tenant_id=1, role=Role.STAFF),
            }.items()
        }
    return invoice, tokens


@pytest.fixture(scope="module")
def furnished(tmp_path_factory):
    database = tmp_path_factory.mktemp("portal") / "headend.db"
    invoice, tokens = asyncio.run(furnish(database))
    return database, invoice, tokens


@pytest.fixture
async def ask(furnished):
    """Ask the portal as somebody."""
    database, _, tokens = furnished
    async with open_door(PortalSettings(database=database)) as door:
        transport = httpx.ASGITransport(create_app(door))
        async with httpx.AsyncClient(transport=transport, base_url="http://portal") as client:

            async def get(path, who="own", scheme="Bearer"):
                headers = {"Authorization": f"{scheme} {tokens.get(who, who)}"}
                return await client.get(f"/api/{path}", headers=headers)

            yield get


async def test_a_customer_sees_their_accounts_and_no_others(ask):
    (account,) = (await ask("accounts")).json()
    assert (account["id"], account["customer_name"]) == ("A-1", "Uno")
    assert account["meters"][0] == {
        "id": "QN-1001",
        "channel": "1-0:1.29.0",
        "first_day": "2026-01-01",
        "last_day": "2026-05-01",
    }


async def test_one_account_can_be_read_alone(ask):
    assert (await ask("accounts/A-1")).json()["premise"] == "P-1"


async def test_usage_is_the_households_truth(ask):
    usage = (await ask(f"meters/QN-1001/usage?{DAYS}")).json()
    truth = HOUSEHOLD.register_wh(MIDNIGHT + 192 * STEP) - HOUSEHOLD.register_wh(MIDNIGHT)
    assert (usage["expected"], usage["received"], usage["energy_wh"]) == (192, 192, truth)
    assert usage["intervals"][0] == {
        "start_utc": "2026-04-30T06:00:00Z",
        "duration_s": 900,
        "energy_wh": HOUSEHOLD.interval_wh(MIDNIGHT),
        "quality": ["clock_doubtful"],
    }


async def test_a_gap_is_null_and_never_zero(ask):
    usage = (await ask("meters/QN-1001/usage?from=2026-04-29&to=2026-04-29")).json()
    assert (usage["received"], usage["energy_wh"]) == (0, 0)
    assert {interval["energy_wh"] for interval in usage["intervals"]} == {None}


async def test_totals_come_without_intervals(ask):
    usage = (await ask(f"meters/QN-1001/usage?{DAYS}&period=total")).json()
    assert usage["intervals"] is None
    assert usage["energy_wh"] > 0


async def test_a_customer_sees_a_meters_days_only_while_it_was_theirs(ask):
    usage = (await ask("meters/QN-1001/usage?from=2026-05-01&to=2026-05-20&period=total")).json()
    assert (usage["first_day"], usage["last_day"], usage["expected"]) == (
        "2026-05-01",
        "2026-05-01",
        96,
    )


async def test_bills_are_listed_with_their_fingerprints(ask, furnished):
    _, invoice, _ = furnished
    (bill,) = (await ask("bills")).json()
    assert (bill["id"], bill["sha256"]) == (invoice.bill_id, invoice.sha256)
    assert bill["total"] == str(invoice.bill.total)
    assert bill["currency"] == "USD"


async def test_a_bill_is_served_octet_for_octet(ask, furnished):
    _, invoice, _ = furnished
    answer = await ask(f"bills/{invoice.bill_id}")
    assert answer.content == invoice.document
    assert json.loads(answer.content)["bill_id"] == invoice.bill_id


async def test_a_predecessors_bill_on_the_same_account_is_not_served(ask):
    answer = await ask("bills/predecessor")
    assert (answer.status_code, answer.json()["code"]) == (403, "access_denied")
    assert "predecessor" not in (await ask("bills")).text


@pytest.mark.parametrize("who", ["other", "foreign", "staff"])
@pytest.mark.parametrize(
    "path",
    [
        "accounts/A-1",
        f"meters/QN-1001/usage?{DAYS}",
        "bills/{bill_id}",
        "accounts/nowhere",
        f"meters/nowhere/usage?{DAYS}",
        "bills/nowhere",
    ],
)
async def test_what_is_foreign_and_what_is_not_there_answer_alike(ask, furnished, who, path):
    answer = await ask(path.format(bill_id=furnished[1].bill_id), who)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "access_denied"


@pytest.mark.parametrize("path", ["accounts", "bills"])
@pytest.mark.parametrize("who", ["other", "foreign"])
async def test_lists_hold_only_what_is_the_callers(ask, path, who):
    assert "A-1" not in (await ask(path, who)).text


@pytest.mark.parametrize(
    ("who", "scheme"), [("own", "Basic"), ("nonsense", "Bearer"), ("x" * 5000, "Bearer")]
)
async def test_without_a_known_token_there_is_no_entry(ask, who, scheme):
    answer = await ask("accounts", who, scheme)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["code"] == "not_authenticated"


@pytest.mark.parametrize(
    "query", ["from=2026-04-30", "from=yesterday&to=2026-05-01", f"{DAYS}&period=hourly"]
)
async def test_a_malformed_question_is_refused_with_its_field(ask, query):
    answer = await ask(f"meters/QN-1001/usage?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_days_in_the_wrong_order_are_refused_by_name(ask):
    answer = await ask("meters/QN-1001/usage?from=2026-05-01&to=2026-04-30")
    assert answer.status_code == 422
    assert "not after" in answer.json()["detail"]
