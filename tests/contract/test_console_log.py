"""The console log as the product has it: written by virtlogd, in several files, over restarts.

The guest is a boot sector that sends one byte after the other, from 0 on, as fast as it can: what
is missing, or stands twice, shows.
"""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.drivers.console_log import read_console_log
from actors.drivers.libvirt.settings import LibvirtSettings, VirtType
from actors.model.instance import InstanceRecord
from tests.contract import records
from tests.contract.hosts import HostUnderTest, eventually
from tests.contract.private_libvirtd import PrivateLibvirtd

pytestmark = pytest.mark.live

FILE_BYTES = 1 << 16
FILES = 8
#: mov dx, 0x3f8; mov al, 0; again: out dx, al; inc al; jmp again
COUNTING = bytes.fromhex("ba f8 03 b0 00 ee fe c0 eb fb").ljust(510, b"\0") + b"\x55\xaa"


class WithVirtlogd(PrivateLibvirtd):
    """A private libvirtd whose guests write through a virtlogd of its own."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        conf = home / "etc" / "qemu.conf"
        conf.write_text(conf.read_text().replace('"file"', '"logd"'))
        (home / "etc" / "virtlogd.conf").write_text(
            f"max_size = {FILE_BYTES}\nmax_backups = {FILES - 1}\n"
        )
        self._virtlogd: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        super().start()  # from then on the holder is in its namespace
        command = ["nsenter", "-t", str(self._holder.pid), "-m", "virtlogd"]
        self._virtlogd = subprocess.Popen(
            [*command, "--pid-file", f"{self.home}/virtlogd.pid"], stderr=subprocess.DEVNULL
        )
        eventually("virtlogd listens", (self.home / "run" / "virtlogd-sock").exists)

    def close(self) -> None:
        super().close()
        if self._virtlogd is not None:
            self._virtlogd.terminate()
            self._virtlogd.wait()


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[HostUnderTest]:
    """A host whose image counts."""
    daemon = WithVirtlogd(tmp_path / "libvirtd")
    try:
        daemon.start()
        host = HostUnderTest(LibvirtSettings(daemon.uri, tmp_path, VirtType.QEMU))
        raw = tmp_path / "counting.raw"
        raw.write_bytes(COUNTING.ljust(records.MIB, b"\0"))
        subprocess.run(["qemu-img", "convert", "-q", "-O", "qcow2", raw, host.base], check=True)
        host.open()
        yield host
        for guest in host.hypervisor.guests():
            host.hypervisor.ensure_absent(guest.instance)
        host.hypervisor.close()
    finally:
        daemon.close()


def whole(host: HostUnderTest, record: InstanceRecord) -> bytes:
    """The log in pieces, as a client reads it."""
    path, data = host.hypervisor.console_path(record.id), b""
    while piece := read_console_log(path, record.id, len(data), 10_000).data:
        data += piece
    return data


def quiet(host: HostUnderTest, record: InstanceRecord) -> bytes:
    """The log of a guest that is paused or off, once virtlogd has written all of it."""
    before, data = b"?", whole(host, record)
    while before != data:
        time.sleep(0.1)
        before, data = data, whole(host, record)
    return data


def test_a_log_is_whole_over_rotations_and_restarts(counting: HostUnderTest) -> None:
    record = records.instance()
    counting.boot(record)
    log = counting.hypervisor.console_path(record.id)
    eventually("the log was rotated", log.with_name(f"{log.name}.1").exists)
    counting.domain_of(record).suspend()
    first = quiet(counting, record)
    assert 2 * FILE_BYTES < len(first) <= (FILES - 1) * FILE_BYTES, "too much to be all kept"
    assert first == bytes(at % 256 for at in range(len(first)))
    # Another run goes on where the last one ended, and does not overwrite it.
    counting.hypervisor.force_off(record.id)
    counting.run(record, 2)
    eventually("it writes again", lambda: len(whole(counting, record)) > len(first) + 256)
    both = whole(counting, record)
    assert both.startswith(first)
    assert both[len(first) :][:256] == bytes(range(256))


def test_a_log_has_an_end(counting: HostUnderTest) -> None:
    record = records.instance()
    counting.boot(record)
    log = counting.hypervisor.console_path(record.id)
    eventually("all files are full", log.with_name(f"{log.name}.{FILES - 2}").exists)
    eventually("and written anew", lambda: log.with_name(f"{log.name}.0").stat().st_size > 0)
    counting.domain_of(record).suspend()
    assert len(quiet(counting, record)) <= FILES * FILE_BYTES
    counting.hypervisor.ensure_absent(record.id)
    counting.hypervisor.remove_disk(record.id)
    assert not log.parent.exists()
