"""Real guests that are made anew, or not after all, and that are rescued."""

import subprocess
from pathlib import Path

import grpc
import pytest
from google.longrunning.operations_pb2 import CancelOperationRequest

from tests.live.stack import sight
from tests.live.stack.client import Instance, metadata
from tests.live.stack.cloud import (
    DISK,
    UEC,
    Cloud,
    Guest,
    close_gate,
    eventually,
    inside,
    open_gates,
    reached,
)

pytestmark = pytest.mark.timeout(900)

_MARK = "sudo sh -c 'echo {0} > /home/cirros/mark; sync'"
_READ = "cat /home/cirros/mark"
_ROOT = "sudo grep ^root: /etc/shadow"
_GRACE_SECONDS = 60
#: GRUB takes its time under emulation, and so does a guest beside others.
_BOOT_SECONDS = 300


@pytest.fixture
def guest(cloud: Cloud) -> Guest:
    """A guest that has asked who logs in, with a mark on its disk."""
    made = cloud.booted(UEC, cloud.head)
    cloud.client.log_in_appears([made.name])
    inside(made, _MARK.format("monday"))
    assert "monday" in inside(made, _READ)
    return made


def files(guest: Guest) -> set[str]:
    """What lies in its folder."""
    folder = Path(f"{guest.host.folder}{sight.STATE}/instances/{guest.id}")
    return {path.name for path in folder.iterdir()}


def is_root_s(guest: Guest, password: str) -> bool:
    """Whether this is the password of the guest's administrator."""
    (line,) = [line for line in inside(guest, _ROOT).splitlines() if line.startswith("root:")]
    hashed = line.split(":")[1]
    again = ["openssl", "passwd", "-6", "-salt", hashed.split("$")[2], password]
    return subprocess.check_output(again, text=True).strip() == hashed


def test_a_rebuilt_guest_is_another_under_the_same_name(cloud: Cloud, guest: Guest) -> None:
    client, before = cloud.client, cloud.client.get(guest.name)
    lying = files(guest)
    with client.watch() as watch:
        asked = client.ask(
            "RebuildInstance",
            name=guest.name,
            image=f"images/{cloud.image(DISK)}",
            display_name="anew",
            grace_seconds=_GRACE_SECONDS,
        )
        client.succeeded(asked.name, seconds=_BOOT_SECONDS)
        assert Instance.STATE_REBUILD in watch.states(guest.name)
    after = client.get(guest.name)
    assert (after.state, after.uid, after.host) == (
        Instance.STATE_ACTIVE,
        before.uid,
        before.host,
    )
    assert list(after.addresses) == list(before.addresses)
    assert (after.display_name, after.image_display_name) == ("anew", DISK)

    client.log_in_appears([guest.name], times=2, seconds=_BOOT_SECONDS)
    assert "No such file" in inside(guest, _READ)
    assert is_root_s(guest, metadata(asked).admin_password)
    assert files(guest) == lying


def test_a_rebuild_that_is_given_up_leaves_the_guest(cloud: Cloud, guest: Guest) -> None:
    client, first = cloud.client, guest.pid
    lying, before = files(guest), client.get(guest.name)
    # The new guest runs already.
    close_gate(guest.host, "rebuild.ensure_running.after")
    asked = client.ask(
        "RebuildInstance",
        name=guest.name,
        image=f"images/{cloud.image(DISK)}",
        display_name="anew",
        metadata={"role": "web"},
        grace_seconds=_GRACE_SECONDS,
    )
    reached(guest.host, "rebuild.ensure_running.after")
    second = guest.pid
    assert second != first
    client._operations.CancelOperation(CancelOperationRequest(name=asked.name), timeout=60)
    open_gates(guest.host)
    done = client.ended(asked.name)
    assert done.error.code == grpc.StatusCode.CANCELLED.value[0]

    after = client.get(guest.name)
    assert (after.state, after.display_name, after.image_display_name) == (
        Instance.STATE_ACTIVE,
        before.display_name,
        UEC,
    )
    assert dict(after.metadata) == {}
    assert guest.pid not in (first, second)
    assert files(guest) == lying
    eventually(lambda: "monday" in inside(guest, _READ), "it is what it was", _BOOT_SECONDS)


def test_a_rescue_guest_has_the_real_disk_beside_it(cloud: Cloud, guest: Guest) -> None:
    client, lying = cloud.client, files(guest)
    asked = client.ask("RescueInstance", name=guest.name, grace_seconds=_GRACE_SECONDS)
    password = metadata(asked).admin_password
    client.succeeded(asked.name)
    rescued = client.get(guest.name)
    assert (rescued.state, rescued.rescue_image) == (Instance.STATE_RESCUE, rescued.image)
    assert files(guest) == lying | {"rescue.qcow2"}

    # The password opens the rescue guest, by its console, and the real disk is the second one.
    client.log_in_appears([guest.name], times=2, seconds=_BOOT_SECONDS)
    session = client.attach(guest.name)
    try:
        session.send(b"\r")
        session.until("login: ")
        session.send(b"root\r")
        session.until("assword: ")
        session.send(f"{password}\r".encode())
        session.until("# ")
        session.send(b"mount /dev/vdb /mnt && cat /mnt/home/cirros/mark; echo 'e''nd'\r")
        assert "monday" in session.until("end\r\n")
        session.send(b"echo tuesday > /mnt/home/cirros/mark; umount /mnt; echo 'do''ne'\r")
        session.until("done\r\n")
    finally:
        session.close()

    again: pytest.ExceptionInfo[grpc.RpcError]
    with pytest.raises(grpc.RpcError) as again:
        client.ask("RescueInstance", name=guest.name)
    assert again.value.code() is grpc.StatusCode.FAILED_PRECONDITION

    # A rescue guest that goes off by itself is still a rescue.
    inside(guest, "sudo poweroff")
    eventually(
        lambda: client.get(guest.name).power_state == Instance.POWER_STATE_SHUTDOWN, "it is off"
    )
    assert client.get(guest.name).state == Instance.STATE_RESCUE

    client.succeeded(client.ask("UnrescueInstance", name=guest.name).name)
    back = client.get(guest.name)
    assert (back.state, back.rescue_image) == (Instance.STATE_ACTIVE, "")
    assert files(guest) == lying
    eventually(lambda: "tuesday" in inside(guest, _READ), "it boots its own disk", _BOOT_SECONDS)
    assert not is_root_s(guest, password)
    assert sight.domains(guest.host)[guest.id]
