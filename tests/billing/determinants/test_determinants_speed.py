from datetime import date

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from quince.billing.determinants.kernel import COLUMNS, PEAK, measure_rows
from quince.billing.determinants.plan import plan_period
from quince.billing.tariff.period import Period
from quince.billing.tariff.tariff import Tariff, TariffBook

METERS = 1000


@pytest.mark.benchmark(group="determinants")
def test_a_thousand_meter_months(benchmark: BenchmarkFixture, tariff: Tariff) -> None:
    may = Period(first_day=date(2026, 5, 1), last_day=date(2026, 5, 31))
    plan = plan_period(TariffBook(versions=(tariff,)), may)
    rows = np.random.default_rng(1).integers(0, 5000, (METERS, plan.slots), np.int32)
    totals = np.zeros((METERS, len(plan.buckets), COLUMNS), np.int64)
    benchmark(measure_rows, rows, plan.edges, plan.bucket_of_run, totals)
    assert totals[:, :, PEAK].max() == rows.max()
