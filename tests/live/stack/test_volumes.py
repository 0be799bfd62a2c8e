"""Volumes that go from guest to guest, and guests that boot from them."""

from pathlib import Path

import grpc
import pytest

from protos.novaray.v1 import instances_pb2, volumes_pb2
from tests.live.stack import sight
from tests.live.stack.cloud import UEC, Cloud, Guest, eventually, heard, inside

pytestmark = pytest.mark.timeout(900)

Volume = volumes_pb2.Volume
SHELVED = instances_pb2.Instance.STATE_SHELVED_OFFLOADED
_DISKS = "cat /proc/partitions"
_WRITE = "echo kept | sudo dd of=/dev/vdb conv=fsync 2>&1"
_MARK = "sudo sh -c 'echo kept > /home/cirros/mark; sync'"
_READ = "sudo head -c 4 /dev/vdb"
_MOUNTED = (
    "sudo mkdir -p /mnt/v && sudo mount -t ext4 /dev/vdb /mnt/v"
    " && sudo sh -c 'echo kept > /mnt/v/mark; sync' && echo done"
)
#: Goes on and on, with a new file each time.
_BUSY = (
    "sudo sh -c 'n=0; while :; do n=$((n+1)); dd if=/dev/urandom of=/mnt/v/busy.$((n%4)) bs=64k"
    " count=16; sync; done' >/dev/null 2>&1 &"
)
_MOUNT_COPY = "sudo mkdir -p /mnt/w && sudo mount -t ext4 /dev/vdc /mnt/w && cat /mnt/w/mark"


def files(cloud: Cloud) -> set[str]:
    """Volumes' files on the head."""
    return {file.name for file in Path(f"{cloud.head.folder}{sight.STATE}/volumes").glob("*.qcow2")}


def test_a_volume_goes_from_guest_to_guest(cloud: Cloud) -> None:
    client = cloud.client
    first, second = cloud.booted(UEC, cloud.head), cloud.booted(UEC, cloud.head)
    client.log_in_appears([first.name, second.name])
    volume = client.new_volume(size_gb=1)
    assert files(cloud) == set()  # it has no bytes before somebody has it

    client.succeeded(client.ask("AttachVolume", name=first.name, volume=volume).name)
    pid = first.pid
    (attached,) = client.get(first.name).volumes
    assert (attached.volume, attached.device, attached.size_gb) == (volume, "/dev/vdb", 1)
    heard(first, _DISKS, "1048576 vdb", "the guest sees it")
    inside(first, _WRITE)

    client.succeeded(client.ask("DetachVolume", name=first.name, volume=volume).name)
    assert "vdb" not in inside(first, _DISKS)
    assert first.pid == pid
    assert client.volume(volume).state == Volume.STATE_AVAILABLE

    client.succeeded(client.ask("AttachVolume", name=second.name, volume=volume).name)
    heard(second, _READ, "kept", "the other guest reads it")
    # A guest that is started anew has it still.
    client.succeeded(client.ask("RebootInstance", name=second.name, hard=True).name)
    client.log_in_appears([second.name], times=2)
    heard(second, _READ, "kept", "it has it after a reboot")

    client.succeeded(client.delete(first.name).name, client.delete(second.name).name)
    assert client.volume(volume).state == Volume.STATE_AVAILABLE
    assert len(files(cloud)) == 1
    client.delete_volume(volume)
    eventually(lambda: files(cloud) == set(), "its bytes are gone")


def test_a_volume_grows_and_is_kept_while_its_guest_writes(cloud: Cloud) -> None:
    client = cloud.client
    guest = cloud.booted(UEC, cloud.head)
    client.log_in_appears([guest.name])
    # The image has a file system with a journal, which the guest itself cannot make.
    volume = client.new_volume(size_gb=1, image=f"images/{cloud.image(UEC)}")
    client.succeeded(client.ask("AttachVolume", name=guest.name, volume=volume).name)
    heard(guest, _DISKS, "1048576 vdb", "the guest sees it")
    pid = guest.pid
    assert "done" in inside(guest, _MOUNTED)
    inside(guest, _BUSY)
    eventually(lambda: "busy.1" in inside(guest, "ls /mnt/v"), "it writes")

    client.extend_volume(volume, 2)
    heard(guest, _DISKS, "2097152 vdb", "the guest sees it grow")
    eventually(lambda: client.volume(volume).state == Volume.STATE_IN_USE, "it has grown")
    snapshot = client.keep_volume(volume)
    kept = volumes_pb2.VolumeSnapshot.STATE_AVAILABLE
    eventually(lambda: client.kept_volume(snapshot).state == kept, "it is copied", 60)
    assert client.kept_volume(snapshot).size_gb == 2
    assert guest.pid == pid

    again = client.new_volume(size_gb=2, snapshot=snapshot)
    client.succeeded(client.ask("AttachVolume", name=guest.name, volume=again).name)
    heard(guest, _DISKS, "2097152 vdc", "the guest sees the copy")
    assert "kept" in inside(guest, _MOUNT_COPY)
    inside(guest, "sudo umount /mnt/w")
    client.succeeded(client.delete(guest.name).name)
    client.forget_kept_volume(snapshot)
    for name in (volume, again):
        eventually(lambda name=name: deleted(cloud, name), "it may be deleted")  # type: ignore[misc]
    eventually(lambda: files(cloud) == set(), "its bytes are gone")


def deleted(cloud: Cloud, volume: str) -> bool:
    """Whether a volume could be deleted: not while the delete of its snapshot is under way."""
    try:
        cloud.client.delete_volume(volume)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
            raise
        return False
    return True


def test_an_instance_boots_from_a_volume_that_outlives_it(cloud: Cloud) -> None:
    client = cloud.client
    volume = client.new_volume(size_gb=1, image=f"images/{cloud.image(UEC)}")
    for expected in ("", "kept"):
        boot = client.boot("vm", "", host=cloud.head.name, boot_volume=volume)
        client.succeeded(boot.operation, seconds=300)
        client.log_in_appears([boot.instance])
        guest = cloud.guest(boot.instance)
        assert client.get(guest.name).volumes[0].device == "/dev/vda"
        found = inside(guest, "cat /home/cirros/mark")
        assert ("kept" in found) is bool(expected)
        inside(guest, _MARK)
        client.succeeded(client.delete(guest.name).name)
        assert client.volume(volume).state == Volume.STATE_AVAILABLE
    client.delete_volume(volume)
    eventually(lambda: files(cloud) == set(), "its bytes are gone")


def test_an_instance_leaves_its_host_and_comes_back_to_its_volume(cloud: Cloud) -> None:
    client = cloud.client
    volume = client.new_volume(size_gb=1, image=f"images/{cloud.image(UEC)}")
    boot = client.boot("vm", "", host=cloud.head.name, boot_volume=volume)
    client.succeeded(boot.operation, seconds=120)
    client.log_in_appears([boot.instance])
    guest = cloud.guest(boot.instance)
    is_given_another(cloud, guest)
    inside(guest, _MARK)
    client.succeeded(client.ask("ShelveInstance", name=guest.name).name, seconds=120)
    eventually(lambda: client.get(guest.name).state == SHELVED, "it has left")
    client.succeeded(client.ask("UnshelveInstance", name=guest.name).name, seconds=120)
    client.log_in_appears([guest.name])
    assert "kept" in inside(guest, "cat /home/cirros/mark")
    client.succeeded(client.delete(guest.name).name)
    client.delete_volume(volume)
    eventually(lambda: files(cloud) == set(), "its bytes are gone")


def is_given_another(cloud: Cloud, guest: Guest) -> None:
    """A volume beside its root, which stays."""
    client = cloud.client
    data = client.new_volume(size_gb=1)
    client.succeeded(client.ask("AttachVolume", name=guest.name, volume=data).name)
    heard(guest, _DISKS, "vdb", "the guest sees it")
    client.succeeded(client.ask("DetachVolume", name=guest.name, volume=data).name)
    assert "vda" in inside(guest, _DISKS)
    client.delete_volume(data)
