"""The metadata service over HTTP: who is told what, and what nobody can make it do."""

import socket
import time

import pytest

from actors.hostnet import allowance, guest_connections
from actors.hostnet.allowance import Allowance
from tests.guestdata.metadata_service import ANN, BOB, STRANGER, Service

META_DATA = "/openstack/latest/meta_data.json"


def closed(connection: socket.socket) -> bool:
    """Whether the service has ended the connection."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_each_guest_is_told_of_itself(service: Service) -> None:
    for guest in (ANN, BOB):
        answer = service.ask(guest, META_DATA)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        assert service.records[guest].id.encode() in service.text
        assert answer.headers["Server"] == "novaray"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": BOB},
        {"Forwarded": f"for={BOB}"},
        {"X-Real-IP": BOB},
        {"X-Instance-ID": "7d4b3a52-9f0e-5d7c-8a41-00000000000b", "X-Tenant-ID": "demo"},
        {"Host": BOB},
    ],
)
def test_no_header_makes_a_guest_another(service: Service, headers: dict[str, str]) -> None:
    assert service.ask(ANN, META_DATA, headers=headers).status == 200
    assert service.records[ANN].id.encode() in service.text
    assert service.records[BOB].id.encode() not in service.text


def test_a_stranger_is_not_talked_to(service: Service) -> None:
    with service.connect(STRANGER) as connection:
        assert closed(connection)


def test_who_has_gone_is_told_nothing_more(service: Service) -> None:
    request = f"HEAD {META_DATA} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with service.connect(ANN) as connection:
        connection.sendall(request)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        del service.records[ANN]
        connection.sendall(request)
        assert connection.recv(4096).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_it_is_only_read(service: Service, method: str) -> None:
    answer = service.ask(ANN, "/openstack/latest/password", method, body=b"x" * 100)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_a_head_has_the_size_and_no_body(service: Service) -> None:
    answer = service.ask(ANN, "/latest/user-data", "HEAD")
    assert (answer.status, answer.headers["Content-Length"], service.text) == (200, "21", b"")


@pytest.mark.parametrize("path", ["/nothing", "/openstack/../etc/passwd", "/%2e%2e/x", "/%00"])
def test_what_is_not_there_is_not_found(service: Service, path: str) -> None:
    assert service.ask(ANN, path).status == 404


def test_without_the_record_a_guest_is_told_to_come_again(service: Service) -> None:
    service.away = True
    answer = service.ask(ANN, META_DATA)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    service.away = False
    assert service.ask(ANN, META_DATA).status == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 10_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n"
        + b"".join(b"H%d: x\r\n" % n for n in range(200))
        + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_a_request_too_large_or_none_is_refused(service: Service, request_: bytes) -> None:
    with service.connect(ANN) as connection:
        connection.sendall(request_)
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ") or closed(connection)
    assert service.ask(ANN, META_DATA).status == 200


def test_a_guest_that_says_nothing_is_let_go(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest_connections, "_LIFETIME", 0.2)
    with service.connect(ANN) as silent, service.connect(BOB) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert closed(silent)
        assert closed(slow)


def test_a_guest_has_a_few_connections_and_leaves_others_theirs(service: Service) -> None:
    kept = [service.connect(ANN) for _ in range(guest_connections._CONNECTIONS_EACH)]
    with service.connect(ANN) as one_more:
        assert closed(one_more)
    assert service.ask(BOB, META_DATA).status == 200
    for connection in kept:
        connection.close()
    deadline = time.monotonic() + 30
    while True:  # until the service has seen them go
        try:
            assert service.ask(ANN, META_DATA).status == 200
            break
        except (ConnectionError, OSError):
            assert time.monotonic() < deadline


def test_a_guest_that_asks_without_end_is_told_to_wait(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "_A_SECOND", 0.0)  # however slow this machine is
    with service.connect(ANN) as connection:
        answers = 0
        for _ in range(500):
            connection.sendall(f"HEAD {META_DATA} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += connection.recv(4096)
            if head.startswith(b"HTTP/1.1 429 "):
                break
            answers += 1
        else:
            pytest.fail("never told to wait")
    assert answers == 299, "the connection itself is one of 300"
    assert service.ask(BOB, META_DATA).status == 200


def test_an_allowance_comes_back_with_time() -> None:
    left = Allowance(100.0)
    assert sum(left.take(100.0) for _ in range(400)) == 300
    assert not left.take(100.0)
    assert sum(left.take(101.0) for _ in range(100)) == 30
    assert sum(left.take(1_000_000.0) for _ in range(400)) == 300


def test_a_closed_service_is_gone(service: Service) -> None:
    with service.connect(ANN) as connection:
        service.stop()
        assert closed(connection)
    with pytest.raises(ConnectionError):
        service.connect(ANN)
