import pytest

from quince.headend.errors import WorkOrderFileError
from quince.headend.work_orders.rules import read_orders, read_technician
from quince.model.errors import InvalidValueError


def test_every_order_of_a_file_that_cannot_be_is_named() -> None:
    text = '[[order]]\nkind = "visit"\nmeter = {}\n[[order]]\nkind = "paint"\nmeter = {}\n'
    with pytest.raises(WorkOrderFileError) as refused:
        read_orders(text)
    assert [one[:8] for one in refused.value.problems] == ["order 1:", "order 2:"]


def test_an_order_named_twice_or_in_no_time_zone_is_refused() -> None:
    order = (
        '[[order]]\norder_id = "WO-1"\nkind = "visit"\nmetering_point = "mp"\npremise = "p"\n'
        'gateway = "gw"\nserial = "s"\nmeter = { id = "m" }\nzone = "'
    )
    with pytest.raises(WorkOrderFileError, match="named twice"):
        read_orders(order + 'UTC"\n' + order + 'UTC"\n')
    with pytest.raises(WorkOrderFileError, match="time zone"):
        read_orders(order + 'Mars"\n')


@pytest.mark.parametrize("text", ["", "[[", "x = 1", "order = 7", "order = [7]"])
def test_a_file_of_something_else_is_refused(text: str) -> None:
    with pytest.raises(WorkOrderFileError):
        read_orders(text)


@pytest.mark.parametrize(("name", "key"), [("", "00" * 32), ("ana", "00" * 31), ("ana", "key")])
def test_a_technician_has_a_name_and_a_key(name: str, key: str) -> None:
    with pytest.raises(InvalidValueError):
        read_technician(name, key)
