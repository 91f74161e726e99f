"""The units meters give energy in, and how a number in them becomes one at scaler 0.

Law: numbers stay exact. A register is taken down to the whole unit it has gone through, so that
what it grew by, over any stretch of time, still adds up.
"""

from decimal import ROUND_FLOOR, Decimal

# Above the unit at scaler 0, which is Wh or varh.
POWER_OF_TEN = {"Wh": 0, "kWh": 3, "MWh": 6, "varh": 0, "kvarh": 3, "Mvarh": 6}


def whole_units(number: int | Decimal, exponent: int) -> int:
    """Return the whole units in `number` · 10^`exponent`, rounded towards minus infinity."""
    if isinstance(number, Decimal):
        return int(number.scaleb(exponent).to_integral_value(ROUND_FLOOR))
    scale: int = 10 ** abs(exponent)
    return number * scale if exponent >= 0 else number // scale
