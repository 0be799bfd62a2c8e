"""What a guest sees of its flavor, from inside."""

import json
import os
import re
import select
import time
from pathlib import Path
from typing import Any

import pytest

from actors.model.console import ConsoleKind
from actors.model.instance import InstanceRecord
from actors.ports.hypervisor import BootFiles
from tests.contract import records
from tests.contract.hosts import HostUnderTest
from tools.guest_image.build import build

ROOT = Path(__file__).parents[2]
#: A whole boot under emulation, on a machine that other tests load.
BOOT_SECONDS = 300.0
ANSWER_SECONDS = 120.0
PROMPT = r"\$ $"

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(900),
    pytest.mark.parametrize("host", ["qemu"], indirect=True),
]


class Login:
    """A shell on a guest's serial console."""

    def __init__(self, host: HostUnderTest, record: InstanceRecord) -> None:
        self._terminal = host.hypervisor.open_console(record.id, ConsoleKind.SERIAL)
        self._said = ""
        self._type("")
        self._until("login: $", BOOT_SECONDS)
        self._type("cirros")
        self._until("[Pp]assword: ?$", ANSWER_SECONDS)
        self._type("cubswin:)")
        self._until(PROMPT, ANSWER_SECONDS)

    def run(self, command: str) -> str:
        """What a command prints."""
        self._said = ""
        self._type(command)
        # The echo of the command ends the line; the prompt is what comes last.
        self._until(PROMPT, ANSWER_SECONDS)
        return self._said.partition("\n")[2].rpartition("\n")[0]

    def close(self) -> None:
        """Hang up."""
        os.close(self._terminal)

    def _type(self, line: str) -> None:
        os.write(self._terminal, f"{line}\n".encode())

    def _until(self, pattern: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self._said):
            left = deadline - time.monotonic()
            assert left > 0, f"no {pattern!r} within {seconds} s: {self._said[-2000:]!r}"
            if select.select([self._terminal], [], [], left)[0]:
                self._said += os.read(self._terminal, 65536).decode(errors="replace")
                # busybox asks its terminal where the cursor is.
                self._said = self._said.replace("\r", "").replace("\x1b[6n", "")


@pytest.fixture(scope="module")
def images() -> dict[str, Any]:
    """The manifest's images by the last word of their name."""
    output = ROOT / "build" / "guest"
    build(output, ROOT / "build" / "guest-packages", print)
    manifest = json.loads((output / "images.json").read_text())
    return {
        image["name"].rsplit("-", 1)[1]: {**image, "path": output / image["file"]}
        for image in manifest["images"]
    }


def test_a_guest_has_what_its_flavor_says(host: HostUnderTest, images: dict[str, Any]) -> None:
    uec = images["uec"]
    specs = {
        "hw:firmware_type": "uefi",
        "hw:watchdog_action": "pause",
        "hw_rng:rate_bytes": "65536",
        "quota:disk_read_bytes_sec": str(4 * 1024**2),
    }
    record = records.instance(
        size=records.flavor(160).evolve(ephemeral_gb=1, swap_mb=64, extra_specs=specs),
        boot=records.source(kernel=True, virtual_size=uec["virtual_size"]).evolve(
            command_line=uec["properties"]["os_command_line"]
        ),
    )
    files = BootFiles(uec["path"], images["kernel"]["path"], images["ramdisk"]["path"])
    host.hypervisor.ensure_disk(record, uec["path"])
    host.hypervisor.ensure_running(record, 1, files, {})
    guest = Login(host, record)
    try:
        assert guest.run("ls -d /sys/firmware/efi") == "/sys/firmware/efi"
        # Intel's 6300ESB, as QEMU emulates it.
        assert "0x25ab" in guest.run("cat /sys/bus/pci/devices/*/device").split()
        assert "virtio_rng" in guest.run("cat /sys/class/misc/hw_random/rng_current")

        assert guest.run("sudo busybox findfs LABEL=ephemeral0") == "/dev/vdb"
        guest.run("sudo busybox mount -t ext4 /dev/vdb /mnt")
        guest.run("echo mine | sudo busybox tee /mnt/note")
        assert guest.run("cat /mnt/note") == "mine"
        guest.run("sudo busybox swapon /dev/vdc")
        assert re.search(r"/dev/vdc\s+partition\s+655", guest.run("cat /proc/swaps"))

        # 20 MiB at 4 MiB a second; QEMU gives the first second's worth at once.
        began = time.monotonic()
        guest.run("sudo busybox dd if=/dev/vdb of=/dev/null bs=1M count=20")
        assert time.monotonic() - began > 3.0
    finally:
        guest.close()
