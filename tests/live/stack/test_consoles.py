"""Consoles of real guests, through the gateway and over Ray."""

import os
import struct
import zlib
from typing import Any

import grpc
import pytest

from protos.novaray.v1.consoles_pb2 import CONSOLE_KIND_VNC
from tests.live.stack import sight
from tests.live.stack.client import Instance, Session
from tests.live.stack.cloud import Cloud, eventually
from tools.testhosts import TestHost

pytestmark = pytest.mark.timeout(900)

FORBIDDEN, AWAY = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNAVAILABLE


def log_in(console: Session) -> None:
    """As the image's user."""
    console.send(b"\r")
    console.until("login: ")
    console.send(b"cirros\r")
    console.until("assword: ")
    console.send(b"cubswin:)\r")
    console.until("$ ")


def says(console: Session, command: str) -> str:
    """What a command in the guest prints."""
    # Its echo does not have the text that its output begins with.
    console.send(f"echo 'be''gin'; {command}; echo 'e''nd'\r".encode())
    console.until("begin\r\n")
    return console.until("end\r\n").strip()


def descriptors(host: TestHost) -> int:
    """How many the HostActor has of the kinds that consoles are."""
    folder = f"/proc/{sight.actor(host, 'Host')}/fd"
    found = []
    for name in os.listdir(folder):
        try:
            found.append(os.readlink(f"{folder}/{name}"))
        except OSError:
            continue
    return sum(what.startswith("/dev/pts/") for what in found)


def test_somebody_logs_in_over_the_console(cloud: Cloud) -> None:
    guest = cloud.guest_on(cloud.head)
    before = descriptors(cloud.head)
    console = cloud.client.attach(guest.name)
    log_in(console)
    assert says(console, "echo $((6 * 7))") == "42"
    assert says(console, "id -un") == "cirros"
    assert descriptors(cloud.head) == before + 1
    # Another is refused, unless by force; what the guest wrote is in the log all the same.
    with pytest.raises(grpc.RpcError) as busy:
        cloud.client.attach(guest.name)
    assert busy.value.code() is FORBIDDEN
    other = cloud.client.attach(guest.name, force=True)
    assert console.failure() == (FORBIDDEN, "CONSOLE_TAKEN_OVER")
    assert says(other, "echo still here") == "still here"
    assert "still here" in cloud.client.console(guest.name)
    # libvirtd may go and come back under it.
    cloud.head.stop_libvirtd(kill=True)
    assert says(other, "echo without libvirtd") == "without libvirtd"
    cloud.head.start_libvirtd()
    other.send(b"exit\r")
    other.until("login: ")
    other.close()
    eventually(lambda: descriptors(cloud.head) == before, "the pty is let go")


def test_a_host_actor_that_dies_lets_go(cloud: Cloud) -> None:
    guest = cloud.guest_on(cloud.head)
    console = cloud.client.attach(guest.name)
    sight.kill([sight.actor(cloud.head, "Host")])
    code, reason = console.failure()
    assert code is AWAY
    assert reason in ("ACTOR_UNAVAILABLE", "CONSOLE_LOST")
    found: list[Session] = []
    eventually(lambda: attached(cloud, guest.name, found), "the host's actor is back")
    (again,) = found
    again.send(b"\r")
    again.until("login: ")
    again.close()


def test_the_log_goes_on_and_the_session_ends_with_the_guest(cloud: Cloud) -> None:
    client, guest = cloud.client, cloud.guest_on(cloud.head)
    first = client.console(guest.name)
    console = client.attach(guest.name)
    stop = client.stop(guest.name)
    console.until("Power down")
    assert console.failure() == (FORBIDDEN, "CONSOLE_ENDED")
    client.succeeded(stop.name)
    with pytest.raises(grpc.RpcError) as off:
        client.attach(guest.name)
    assert off.value.code() is FORBIDDEN
    client.succeeded(client.start(guest.name).name)
    times = first.count(" login: ")
    client.log_in_appears([guest.name], times=times + 1)
    assert client.console(guest.name).startswith(first)


def test_the_screen_is_seen(cloud: Cloud) -> None:
    guest = cloud.guest_on(cloud.head)
    width, height = size_of_png(cloud.client.screenshot(guest.name))
    assert (width, height) >= (640, 400)
    viewers = [cloud.client.attach(guest.name, CONSOLE_KIND_VNC) for _ in range(2)]
    for viewer in viewers:
        assert rfb_screen(viewer) == (width, height)
    for viewer in viewers:
        viewer.close()


def test_a_guest_is_counted(cloud: Cloud) -> None:
    guest = cloud.guest_on(cloud.head)
    found = cloud.client.diagnostics(guest.name)
    assert found.power_state == Instance.POWER_STATE_RUNNING
    assert (found.driver, found.hypervisor, found.hypervisor_os) == ("libvirt", "qemu", "linux")
    assert found.host == cloud.head.name
    assert [cpu.time_ns > 0 for cpu in found.cpus] == [True]
    assert 0 < found.memory.used_mb <= found.memory.maximum_mb == 128
    assert found.disks[0].device == "vda"
    assert found.disks[0].read_bytes > 1_000_000
    (card,) = found.nics
    assert card.mac.startswith("fa:16:3e:")
    assert min(card.rx_packets, card.tx_packets) > 0


def attached(cloud: Cloud, name: str, found: list[Session]) -> bool:
    """Attach, unless its host is away."""
    try:
        found.append(cloud.client.attach(name))
    except grpc.RpcError as error:
        failure: Any = error
        if failure.code() is AWAY:
            return False
        raise
    return True


def size_of_png(data: bytes) -> tuple[int, int]:
    """Width and height of a picture that is whole: each chunk has its checksum (RFC 2083)."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, kinds, size = 8, [], (0, 0)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunk = data[at + 4 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length) == (zlib.crc32(chunk),)
        kinds.append(chunk[:4])
        if chunk[:4] == b"IHDR":
            size = struct.unpack_from(">II", chunk, 4)
        at += length + 12
    assert kinds[-1] == b"IEND"
    return size


def rfb_screen(viewer: Session) -> tuple[int, int]:
    """Shake hands as RFC 6143 has it, and fetch the whole screen once; its size."""
    assert viewer.take(12) == b"RFB 003.008\n"
    viewer.send(b"RFB 003.008\n")
    (count,) = viewer.take(1)
    assert 1 in viewer.take(count)  # no password: the gateway has asked who it is
    viewer.send(b"\x01")
    assert viewer.take(4) == bytes(4)
    viewer.send(b"\x01")  # shared
    width, height = struct.unpack(">HH", viewer.take(4))
    viewer.take(16)  # the pixel format
    (length,) = struct.unpack(">I", viewer.take(4))
    viewer.take(length)  # the name
    viewer.send(struct.pack(">BxHi", 2, 1, 0))  # raw pixels only
    viewer.send(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
    pixels = b""
    kind, rectangles = struct.unpack(">BxH", viewer.take(4))
    assert kind == 0
    for _ in range(rectangles):
        _, _, wide, high, encoding = struct.unpack(">HHHHi", viewer.take(12))
        assert encoding == 0
        pixels += viewer.take(wide * high * 4)
    assert len(set(pixels)) > 1, "nothing is on the screen"
    return width, height
