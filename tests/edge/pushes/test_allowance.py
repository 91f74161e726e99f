from quince.edge.pushes.allowance import Allowance


def test_a_burst_passes_and_then_so_much_a_second():
    allowance = Allowance(burst=2, per_s=0.5)
    assert [allowance.take(100.0) for _ in range(3)] == [True, True, False]
    assert not allowance.take(101.0)
    assert allowance.take(102.5)
    assert not allowance.take(102.5)


def test_a_long_pause_gives_no_more_than_a_burst():
    allowance = Allowance(burst=2, per_s=1.0)
    allowance.take(0.0)
    assert [allowance.take(1_000.0) for _ in range(3)] == [True, True, False]
