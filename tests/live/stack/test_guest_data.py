"""What a real guest makes of what it is told: by drive, by service, and by nobody else's."""

import hashlib
import json
import subprocess
import uuid
from pathlib import Path
from typing import Any, Final

import pytest

from protos.novaray.v1 import instances_pb2 as pb
from protos.novaray.v1 import keypairs_pb2, keypairs_pb2_grpc
from tests.live.stack import sight
from tests.live.stack.client import MICRO, metadata
from tests.live.stack.cloud import UEC, Cloud, Guest, eventually

pytestmark = pytest.mark.timeout(900)

OPENSTACK: Final = "http://169.254.169.254/openstack"
SERVICE: Final = f"{OPENSTACK}/latest"
USER_DATA: Final = b"#!/bin/sh\nid -u > /root/ran\nhostname >> /root/ran\n"
MOTD: Final = bytes(range(256)) * 4
SECRET: Final = b"#!/bin/sh\n# what the other one's tenant alone may read\n"


class Shell:
    """Commands in a guest, over ssh from its host's DHCP namespace."""

    def __init__(self, guest: Guest, key: str) -> None:
        self._guest = guest
        self._ssh = (
            "ip", "netns", "exec", sight.namespace(guest.host), "ssh", "-i", key,
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
            "-o", "BatchMode=yes", "-o", "ConnectTimeout=30", f"cirros@{guest.address}",
        )  # fmt: skip

    def run(self, command: str) -> str:
        """What the command says."""
        done = self._guest.host.run([*self._ssh, command], timeout=120)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def opens(self) -> bool:
        """Whether the key lets in."""
        return self._guest.host.run([*self._ssh, "true"], timeout=120).returncode == 0


def create(cloud: Cloud, instance: pb.Instance, **fields: Any) -> pb.InstanceOperationMetadata:
    """Ask for a guest on the head."""
    request = pb.CreateInstanceRequest(
        parent=cloud.client._parent,
        instance=instance,
        flavor=f"flavors/{MICRO}",
        image=f"images/{cloud.image(UEC)}",
        host=cloud.head.name,
        request_id=str(uuid.uuid4()),
        **fields,
    )
    operation = cloud.client._instances.CreateInstance(request, timeout=60)
    cloud.client.succeeded(operation.name)
    return metadata(operation)


def import_key(cloud: Cloud) -> str:
    """A key pair "live": where its private half lies on the head."""
    path = "/run/live-key"
    private = Path(f"{cloud.head.folder}{path}")
    private.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", private], check=True)
    stub: Any = keypairs_pb2_grpc.KeypairServiceStub(cloud.client._channel)
    public = private.with_suffix(".pub").read_text()
    request = keypairs_pb2.CreateKeypairRequest(
        parent="users/me",
        keypair_id="live",
        keypair=keypairs_pb2.Keypair(public_key=public),
        request_id=str(uuid.uuid4()),
    )
    stub.CreateKeypair(request, timeout=60)
    return path


def test_a_guest_is_what_it_is_told(cloud: Cloud) -> None:
    key = import_key(cloud)
    told = create(
        cloud,
        pb.Instance(display_name="Guest Data", key_name="live", metadata={"role": "web"}),
        user_data=USER_DATA,
        files={"/etc/motd": MOTD, "/srv/a file/b": b"b"},
    )
    other = create(cloud, pb.Instance(display_name="other"), user_data=SECRET)
    cloud.client.log_in_appears([told.instance, other.instance])
    guest, neighbour = cloud.guest(told.instance), cloud.guest(other.instance)
    shell = Shell(guest, key)
    eventually(shell.opens, "the key opens it")

    # It has done what it was told.
    assert shell.run("hostname") == "guest-data\n"
    assert shell.run("sudo cat /root/ran") == "0\nguest-data\n"
    digest = hashlib.sha256(MOTD).hexdigest()
    assert shell.run("sha256sum < /etc/motd; cat '/srv/a file/b'") == f"{digest}  -\nb"
    root = shell.run("sudo grep ^root: /etc/shadow").split(":")[1]
    hashing = ["openssl", "passwd", "-6", "-salt", root.split("$")[2], told.admin_password]
    assert subprocess.check_output(hashing, text=True).strip() == root

    # Drive and service say the same.
    shell.run("sudo mkdir /tmp/drive && sudo mount -o ro /dev/sr0 /tmp/drive")
    for name in ("user_data", "network_data.json", "vendor_data.json", "vendor_data2.json"):
        shell.run(f"wget -q -O - {SERVICE}/{name} | cmp - /tmp/drive/openstack/latest/{name}")
    shell.run(f"wget -q -O - {OPENSTACK}/content/0000 | cmp - /etc/motd")
    drive = json.loads(shell.run("cat /tmp/drive/openstack/latest/meta_data.json"))
    service = json.loads(shell.run(f"wget -q -O - {SERVICE}/meta_data.json"))
    assert drive.pop("admin_pass") == told.admin_password
    assert service == drive
    assert (service["uuid"], service["meta"]) == (guest.id, {"role": "web"})

    # Another's data is out of reach.
    for header in (f"X-Forwarded-For: {neighbour.address}", f"X-Instance-ID: {neighbour.id}"):
        found = shell.run(f"wget -q -O - --header '{header}' {SERVICE}/user_data")
        assert found.encode() == USER_DATA
    blind = cloud.head.run(["virsh", "dumpxml", guest.id]).stdout
    assert told.admin_password not in blind

    # Without the drive a guest learns the same from the service.
    shell.run(
        "sudo umount /tmp/drive; echo 1 | sudo tee /sys/block/sr0/device/delete;"
        "sudo rm -r /root/ran /etc/motd /run/datasource /var/lib/cloud/instance-id"
    )
    assert "=== datasource: metadata ===" in shell.run("sudo /usr/lib/cirros/datasource")
    assert shell.run("sudo cat /root/ran; sha256sum < /etc/motd") == f"0\nguest-data\n{digest}  -\n"

    # The service comes back with the host's actor, and without a boot of the guest.
    sight.kill([sight.actor(cloud.head, "HostActor")])
    eventually(
        lambda: (
            f'"uuid": "{guest.id}"'
            in cloud.head.run(
                [*shell._ssh, f"timeout 3 wget -q -O - {SERVICE}/meta_data.json"]
            ).stdout
        ),
        "the metadata service is there again",
    )
    for name in (guest.name, neighbour.name):
        cloud.client.succeeded(cloud.client.delete(name).name)
