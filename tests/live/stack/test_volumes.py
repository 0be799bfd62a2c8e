"""Volumes that go from guest to guest, and guests that boot from them."""

from pathlib import Path

import pytest

from protos.novaray.v1 import volumes_pb2
from tests.live.stack import sight
from tests.live.stack.cloud import UEC, Cloud, eventually, inside

pytestmark = pytest.mark.timeout(900)

Volume = volumes_pb2.Volume
_DISKS = "cat /proc/partitions"
_WRITE = "echo kept | sudo dd of=/dev/vdb conv=fsync 2>&1"
_READ = "sudo head -c 4 /dev/vdb"


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
    eventually(lambda: "1048576 vdb" in inside(first, _DISKS), "the guest sees it")
    inside(first, _WRITE)

    client.succeeded(client.ask("DetachVolume", name=first.name, volume=volume).name)
    assert "vdb" not in inside(first, _DISKS)
    assert first.pid == pid
    assert client.volume(volume).state == Volume.STATE_AVAILABLE

    client.succeeded(client.ask("AttachVolume", name=second.name, volume=volume).name)
    eventually(lambda: "kept" in inside(second, _READ), "the other guest reads it")
    # A guest that is started anew has it still.
    client.succeeded(client.ask("RebootInstance", name=second.name, hard=True).name)
    client.log_in_appears([second.name], times=2)
    eventually(lambda: "kept" in inside(second, _READ), "it has it after a reboot")

    client.succeeded(client.delete(first.name).name, client.delete(second.name).name)
    assert client.volume(volume).state == Volume.STATE_AVAILABLE
    assert len(files(cloud)) == 1
    client.delete_volume(volume)
    eventually(lambda: files(cloud) == set(), "its bytes are gone")


def test_an_instance_boots_from_a_volume_that_outlives_it(cloud: Cloud) -> None:
    client = cloud.client
    volume = client.new_volume(size_gb=1, image=f"images/{cloud.image(UEC)}")
    mark = "sudo sh -c 'echo kept > /home/cirros/mark; sync'"
    for expected in ("", "kept"):
        boot = client.boot("vm", "", host=cloud.head.name, boot_volume=volume)
        client.succeeded(boot.operation, seconds=300)
        client.log_in_appears([boot.instance])
        guest = cloud.guest(boot.instance)
        assert client.get(guest.name).volumes[0].device == "/dev/vda"
        found = inside(guest, "cat /home/cirros/mark")
        assert ("kept" in found) is bool(expected)
        inside(guest, mark)
        client.succeeded(client.delete(guest.name).name)
        assert client.volume(volume).state == Volume.STATE_AVAILABLE
    client.delete_volume(volume)
    eventually(lambda: files(cloud) == set(), "its bytes are gone")
