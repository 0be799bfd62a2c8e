"""What cannot work: the instance says why, and nothing is left of the try."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.stack import sight
from tests.live.stack.client import Instance, metadata
from tests.live.stack.cloud import (
    BLANK,
    CACHE,
    EMULATOR,
    INSTANCES,
    Cloud,
    blank_file,
    eventually,
)
from tools.testhosts import TestHost

pytestmark = pytest.mark.timeout(900)

#: QEMU as a broken one: it answers libvirt's questions, and starts no guest.
BROKEN = """\
#!/bin/sh
case "$*" in
*guest=*) echo "{words}" >&2; exit 1 ;;
esac
exec {real} "$@"
"""


@pytest.fixture(scope="module", autouse=True)
def forgotten(shared: Cloud) -> Iterator[None]:
    """Where boots have failed the scheduler places others only when it must: not after these."""
    yield
    shared.manage(shared.head, "host", "enable", shared.other.name)


def test_a_full_disk(cloud: Cloud) -> None:
    with mounted(cloud.other, INSTANCES, "size=64k"):
        fails(cloud, BLANK, "DISK_FULL", "no free disk space")


def test_no_room_for_the_image(cloud: Cloud) -> None:
    image = new_image(cloud, "large", padding=1 << 20)
    with mounted(cloud.other, CACHE, "size=256k"):
        fails(cloud, image, "DISK_FULL", "disk")


def test_an_image_that_is_gone(cloud: Cloud) -> None:
    image = new_image(cloud, "lost")
    stored(cloud, image).unlink()
    fails(cloud, image, "IMAGE_NOT_FOUND", "Image")


def test_an_image_that_is_not_what_was_registered(cloud: Cloud) -> None:
    image = new_image(cloud, "spoilt")
    file = stored(cloud, image)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)
    fails(cloud, image, "IMAGE_CHECKSUM_MISMATCH", "Image")


@pytest.mark.parametrize(
    ("words", "reason", "message"),
    [
        ("qemu-system-x86_64: the machine is broken", "HYPERVISOR_REFUSED", "could not start"),
        (
            "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory",
            "MEMORY_FULL",
            "no free memory",
        ),
    ],
    ids=["broken", "memory"],
)
def test_qemu_does_not_start(cloud: Cloud, words: str, reason: str, message: str) -> None:
    host = cloud.other
    real = "/run/real-qemu"
    host.run(["cp", "--reflink=auto", EMULATOR, real], check=True)
    wrapper = Path(f"{host.folder}/tmp/qemu")
    wrapper.write_text(BROKEN.format(words=words, real=real))
    wrapper.chmod(0o755)
    host.run(["mount", "--bind", "/tmp/qemu", EMULATOR], check=True)
    try:
        fails(cloud, BLANK, reason, message)
        # What QEMU said is for who runs the host.
        assert words in sight.logged(host)
    finally:
        host.run(["umount", EMULATOR], check=True)
    # The same host, as soon as it works again.
    cloud.booted(BLANK, host)


def fails(cloud: Cloud, image: str, reason: str, message: str) -> None:
    """A boot on the other host ends with this fault, and leaves nothing."""
    host, client = cloud.other, cloud.client
    before = sight.traces(host), sight.records(cloud.head)
    boot = cloud.boot(image, host)
    ended = client.ended(boot.operation)
    assert ended.HasField("error")
    instance = client.get(boot.instance)
    assert instance.state == Instance.STATE_ERROR
    assert instance.fault.reason == reason, instance.fault
    assert message in instance.fault.message
    assert message in ended.error.message
    assert host.name in instance.fault.hosts, instance.fault
    assert not instance.addresses
    assert not instance.host
    assert metadata(ended).state == metadata(ended).STATE_FAILED
    eventually(lambda: (sight.traces(host), sight.records(cloud.head)) == before, "no trace")
    client.succeeded(client.delete(boot.instance).name)


def new_image(cloud: Cloud, name: str, padding: int = 0) -> str:
    """An image that no host has yet."""
    path = blank_file(cloud.head, name, 1)
    with Path(f"{cloud.head.folder}{path}").open("ab") as file:
        file.write(name.encode().ljust(padding or 512, b"."))
    cloud.register(path)
    return name


def stored(cloud: Cloud, image: str) -> Path:
    """The image actor's file of an image."""
    digest = hashlib.sha256(Path(f"{cloud.head.folder}/tmp/{image}.qcow2").read_bytes())
    return Path(f"{cloud.head.folder}{sight.STATE}/images/{digest.hexdigest()}")


@contextmanager
def mounted(host: TestHost, folder: str, options: str) -> Iterator[None]:
    """A small filesystem over a folder of the host."""
    host.run(["mkdir", "-p", folder], check=True)
    host.run(["mount", "-t", "tmpfs", "-o", options, "full", folder], check=True)
    try:
        yield
    finally:
        host.run(["umount", folder], check=True)
