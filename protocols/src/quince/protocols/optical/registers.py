"""The total of a quantity whose meter shows its tariffs alone."""

from collections.abc import Mapping
from dataclasses import replace

from quince.model.obis import Obis

_TARIFFS_MIN = 2  # one tariff alone may be any part of the whole


def with_totals(registers: Mapping[Obis, int]) -> dict[Obis, int]:
    """Return `registers` and, where the total (E = 0) is not shown, the sum of its tariffs.

    A sum is the total only if every tariff is in it: they must be 1, 2, … without a gap. What a
    meter pushes is fixed by its maker, so that the last one shown is the last there is; a read-out
    that can be configured tells no such thing, and is left alone.
    """
    tariffs: dict[Obis, dict[int, int]] = {}
    for obis, value in registers.items():
        tariffs.setdefault(replace(obis, e=0), {})[obis.e] = value
    totals = {
        total: sum(values.values())
        for total, values in tariffs.items()
        if len(values) >= _TARIFFS_MIN and sorted(values) == list(range(1, len(values) + 1))
    }
    return {**registers, **totals}
