"""Listening to a meter that pushes: the first whole thing it says, in bounded time."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from quince.edge.errors import ReadTimeoutError
from quince.edge.transports import Transport
from quince.model.errors import CodecError

_Whole = TypeVar("_Whole")


async def hear_whole(
    transport: Transport,
    receive_data: Callable[[bytes], None],
    next_whole: Callable[[], _Whole | None],
    *,
    within_s: float,
) -> _Whole:
    """Return what `next_whole` first gives of the octets given to `receive_data`.

    What is damaged is passed over, for the next will come: whoever begins to listen begins in the
    middle. CodecError if all there was in `within_s` was damaged, ReadTimeoutError if nothing was
    whole.
    """
    damage: CodecError | None = None
    try:
        async with asyncio.timeout(within_s):
            while True:
                try:
                    whole = next_whole()
                except CodecError as error:
                    damage = error
                    continue
                if whole is not None:
                    return whole
                receive_data(await transport.read(within_s))
    except (TimeoutError, ReadTimeoutError) as error:
        raise damage or ReadTimeoutError(f"nothing whole in {within_s} s") from error
