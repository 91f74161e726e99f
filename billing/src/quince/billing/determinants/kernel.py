"""The one loop over intervals: per row and bucket the energy, the missing, the peak, its slot.

Module-level, because numba's cache never hits for a function made by a function.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

# The last axis of `totals`.
ENERGY, MISSING, PEAK, PEAK_SLOT = range(4)
COLUMNS = 4


@njit(cache=True, nogil=True)
def measure_rows(
    values: npt.NDArray[np.int32],
    edges: npt.NDArray[np.int32],
    bucket_of_run: npt.NDArray[np.int32],
    totals: npt.NDArray[np.int64],
) -> None:
    """Add every row of `values` (rows × slots, Wh, negative = missing) to its buckets.

    Run i is the slots [edges[i], edges[i + 1]) of bucket bucket_of_run[i]. `totals` (rows ×
    buckets × columns) comes in as 0, 0, -1, -1; a bucket without any value keeps the -1s. Of
    equal peaks the first counts. Sums are exact: 2^31 Wh in each slot of a century fit int64.
    """
    for row in range(values.shape[0]):
        for run in range(bucket_of_run.size):
            bucket = totals[row, bucket_of_run[run]]
            energy = np.int64(0)
            missing = np.int64(0)
            peak = bucket[PEAK]
            peak_slot = bucket[PEAK_SLOT]
            for slot in range(edges[run], edges[run + 1]):
                value = np.int64(values[row, slot])
                if value < 0:
                    missing += 1
                    continue
                energy += value
                if value > peak:
                    peak = value
                    peak_slot = slot
            bucket[ENERGY] += energy
            bucket[MISSING] += missing
            bucket[PEAK] = peak
            bucket[PEAK_SLOT] = peak_slot
