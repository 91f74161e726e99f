import socket

from quince.edge.health.notify import ServiceManager


def test_the_service_manager_hears_every_assignment_in_one_datagram(tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        ServiceManager(path).tell(READY="1", STATUS="4 meters, online")
        assert manager.recv(1024) == b"READY=1\nSTATUS=4 meters, online"


def test_a_name_without_a_file_begins_with_an_at(tmp_path):
    name = f"{tmp_path}/abstract"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        ServiceManager(f"@{name}").tell(WATCHDOG="1")
        assert manager.recv(1024) == b"WATCHDOG=1"


def test_a_manager_that_is_not_there_or_has_gone_stops_nobody(tmp_path):
    ServiceManager(None).tell(READY="1")
    ServiceManager(str(tmp_path / "gone")).tell(READY="1")
