"""The guest image boots: each form is started as the plain QEMU process a host would start."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pycdlib
import pytest

from tools.guest_image.build import build

ROOT = Path(__file__).parents[2]
BOOT_LIMIT = 300.0
ANSWER_LIMIT = 120.0
FORMS = ("uec", "disk", "ramdisk alone")
METADATA = {
    "uuid": "840c18ac-0046-49dc-b809-7d83447c6b63",
    "name": 'My "first" instance',
    "hostname": "myfirstinstance.novalocal",
    "availability_zone": "nova",
    "launch_index": 0,
    "keys": [{"name": "mykey", "type": "ssh"}],
}
USER_DATA = "#!/bin/sh\necho user data ran on $(hostname)\n"

# A whole boot under emulation, on a machine that other tests load.
pytestmark = pytest.mark.timeout(900)


class Guest:
    """A QEMU process, with its serial console on its standard input and output."""

    def __init__(self, folder: Path, *devices: str) -> None:
        self.console = folder / "console.log"
        self.qmp = folder / "qmp.sock"
        with self.console.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *("qemu-system-x86_64", "-machine", "pc", "-accel", "tcg", "-m", "128"),
                    *("-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"),
                    *("-qmp", f"unix:{self.qmp},server=on,wait=off"),
                    *devices,
                ],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def read(self) -> str:
        return self.console.read_text(errors="replace").replace("\r", "")

    def wait_for(self, pattern: str, seconds: float = BOOT_LIMIT) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.read(), re.MULTILINE):
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        return pytest.fail(
            f"no {pattern!r} within {seconds} s; the console:\n{self.read()[-3000:]}"
        )

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def press_power_button(self) -> None:
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self.qmp))
            replies = monitor.makefile()
            for command in ("qmp_capabilities", "system_powerdown"):
                monitor.sendall(json.dumps({"execute": command}).encode())
                while "return" not in replies.readline():
                    pass

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


Start = Callable[..., Guest]


@pytest.fixture(scope="module")
def images() -> dict[str, Any]:
    """The manifest's images by the last word of their name, each with the path of its file."""
    output = ROOT / "build" / "guest"
    build(output, ROOT / "build" / "guest-packages", print)
    manifest = json.loads((output / "images.json").read_text())
    return {
        image["name"].rsplit("-", 1)[1]: {**image, "path": output / image["file"]}
        for image in manifest["images"]
    }


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    guests: list[Guest] = []

    def start_guest(*devices: str) -> Guest:
        guests.append(Guest(tmp_path, *devices))
        return guests[-1]

    yield start_guest
    for guest in guests:
        guest.kill()


def direct_boot(images: dict[str, Any]) -> list[str]:
    command_line = images["uec"]["properties"]["os_command_line"]
    kernel, ramdisk = images["kernel"]["path"], images["ramdisk"]["path"]
    return ["-kernel", str(kernel), "-initrd", str(ramdisk), "-append", command_line]


def disk(image: dict[str, Any]) -> list[str]:
    return ["-drive", f"file={image['path']},format=qcow2,if=virtio,snapshot=on"]


def devices_of(form: str, images: dict[str, Any]) -> list[str]:
    match form:
        case "uec":
            return [*direct_boot(images), *disk(images["uec"]), "-nic", "none"]
        case "disk":
            return [*disk(images["disk"]), "-nic", "none"]
        case _:
            # Its network card leads nowhere: neither a disk nor DHCP may be needed for a login.
            nowhere = ["-netdev", "hubport,id=lan,hubid=0", "-device", "virtio-net-pci,netdev=lan"]
            return [*direct_boot(images), *nowhere]


@pytest.mark.parametrize("form", FORMS)
def test_boots_logs_in_and_powers_off(form: str, images: dict[str, Any], start: Start) -> None:
    guest = start(*devices_of(form, images))

    guest.wait_for(
        r"^login as 'cirros' user\. default password: 'cubswin:\)'\. use 'sudo' for root"
    )
    guest.wait_for(r"^cirros login: ")
    guest.wait_for(r"^=== cirros: current=0\.3\.4 uptime=\d+\.\d+ ===$")
    guest.wait_for(r"^ssh-ed25519 ")

    guest.type("cirros")
    guest.wait_for("^Password: ", ANSWER_LIMIT)
    guest.type("cubswin:)")
    guest.wait_for(r"^~ \$ ", ANSWER_LIMIT)
    guest.type("id -un; sudo id -un; sudo -i pwd; sudo -u cirros id -un; grep ' / ' /proc/mounts")
    root = "rootfs / rootfs" if form == "ramdisk alone" else "/dev/vda1? / ext4"
    guest.wait_for(rf"^cirros\nroot\n/root\ncirros\n{root} rw", ANSWER_LIMIT)

    guest.press_power_button()
    guest.process.wait(ANSWER_LIMIT)
    assert "ACPI power button: powering off" in guest.read()


def test_wrong_password_is_refused(images: dict[str, Any], start: Start) -> None:
    guest = start(*devices_of("uec", images))
    guest.wait_for(r"^cirros login: ")
    guest.type("cirros")
    guest.wait_for("^Password: ", ANSWER_LIMIT)
    guest.type("cubswin")
    guest.wait_for("^Login incorrect", ANSWER_LIMIT)


def test_config_drive_gives_name_key_and_user_data(
    images: dict[str, Any], start: Start, tmp_path: Path
) -> None:
    key, port = tmp_path / "key", free_port()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public_key = key.with_suffix(".pub").read_text()
    drive = tmp_path / "config.iso"
    write_config_drive(
        drive,
        {
            "meta_data.json": json.dumps({**METADATA, "public_keys": {"mykey": public_key}}),
            "user_data": USER_DATA,
        },
    )
    forward = f"user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"
    guest = start(
        *devices_of("uec", images)[:-2],
        *("-drive", f"file={drive},format=raw,if=ide,media=cdrom"),
        *("-nic", forward),
    )

    guest.wait_for(r"^myfirstinstance login: ")
    check_report(guest, "configdrive")
    guest.wait_for(r"^if-info: eth0,10\.0\.2\.15/24$")
    options = ("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={tmp_path}/known")
    inside = subprocess.run(
        ["ssh", "-i", key, *options, "-p", str(port), "cirros@127.0.0.1", "sudo id -un; hostname"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert inside.stdout == "root\nmyfirstinstance\n", inside.stderr


def test_metadata_service_gives_name_and_user_data(
    images: dict[str, Any], start: Start, tmp_path: Path
) -> None:
    # QEMU starts the service anew for each connection, so nothing listens on this machine.
    service = tmp_path / "service.py"
    files = {"meta_data.json": json.dumps(METADATA), "user_data": USER_DATA}
    service.write_text(
        "import sys\n"
        "path = sys.stdin.readline().split()[1]\n"
        "while sys.stdin.readline().strip(): pass\n"
        f"body = {files!r}[path.removeprefix('/openstack/latest/')]\n"
        "sys.stdout.write(f'HTTP/1.0 200 OK\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n{body}')\n"
    )
    network = (
        "user,model=virtio-net-pci,restrict=on,net=169.254.169.0/24,dhcpstart=169.254.169.15,"
        f"guestfwd=tcp:169.254.169.254:80-cmd:{sys.executable} {service}"
    )
    guest = start(*devices_of("uec", images)[:-2], "-nic", network)

    guest.wait_for(r"^myfirstinstance login: ")
    check_report(guest, "metadata")


def check_report(guest: Guest, source: str) -> None:
    """The console tells where the metadata came from and what it said."""
    for line in (
        f"=== datasource: {source} ===",
        f"instance-id: {METADATA['uuid']}",
        f"name: {METADATA['name']}",
        "availability-zone: nova",
        "local-hostname: myfirstinstance.novalocal",
        "launch-index: 0",
        "user data ran on myfirstinstance",
        "=== user_data end status=0 ===",
    ):
        assert f"\n{line}\n" in guest.read()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_config_drive(drive: Path, files: dict[str, str]) -> None:
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, rock_ridge="1.09", vol_ident="config-2")
    sources = []
    for path in ("/openstack", "/openstack/latest"):
        iso.add_directory(path.upper(), rr_name=path.rsplit("/", 1)[1])
    for number, (name, text) in enumerate(files.items()):
        source = drive.with_name(f"config-{name}")
        source.write_text(text)
        sources.append(source)
        iso.add_file(str(source), f"/OPENSTACK/LATEST/FILE{number}.;1", rr_name=name)
    iso.write(str(drive))
    iso.close()
