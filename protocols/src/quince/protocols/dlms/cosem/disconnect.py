"""Disconnect control (class 70): the switch between the mains and the premise.

Attributes: 2 output_state (whether current can flow), 3 control_state, 4 control_mode. Methods:
1 remote_disconnect, 2 remote_reconnect, each with an integer 0.
"""

from enum import IntEnum

from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.names import DISCONNECT_CONTROL, ClassId, read_enum
from quince.protocols.dlms.encoding.axdr import Data
from quince.protocols.dlms.encoding.tags import Tag

OUTPUT_STATE = Ref(ClassId.DISCONNECT_CONTROL, DISCONNECT_CONTROL, 2)
CONTROL_STATE = Ref(ClassId.DISCONNECT_CONTROL, DISCONNECT_CONTROL, 3)
CONTROL_MODE = Ref(ClassId.DISCONNECT_CONTROL, DISCONNECT_CONTROL, 4)
REMOTE_DISCONNECT = Ref(ClassId.DISCONNECT_CONTROL, DISCONNECT_CONTROL, 1)
REMOTE_RECONNECT = Ref(ClassId.DISCONNECT_CONTROL, DISCONNECT_CONTROL, 2)
# What methods without an argument of their own are called with.
NOTHING = Data(Tag.INT8, 0)


class ControlState(IntEnum):
    """What the switch does, or waits for."""

    DISCONNECTED = 0
    CONNECTED = 1
    READY_FOR_RECONNECTION = 2  # somebody must push the meter's button


class ControlMode(IntEnum):
    """Who may do what, of the seven modes the two that meters here are in."""

    NONE = 0  # always connected: commands change nothing
    RECONNECTED_BY_HAND = 1  # remote_reconnect makes ready only
    RECONNECTED_REMOTELY = 4  # remote_reconnect connects


def read_control_state(data: Data) -> ControlState:
    """Read the control state."""
    return read_enum(ControlState, data)


def read_output_state(data: Data) -> bool:
    """Read whether current can flow; some meters write it as a number."""
    return data.value if isinstance(data.value, bool) else bool(data.as_int())
