"""Debian's own cloud-init, unpacked and never installed: its data sources run in a process here."""

import fcntl
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "cloud-init"
#: cloud-init, and what it imports and novaray does not have.
PACKAGES = (
    "cloud-init", "python3-configobj", "python3-jinja2", "python3-json-pointer",
    "python3-jsonpatch", "python3-markupsafe", "python3-oauthlib", "python3-six",
)  # fmt: skip

#: Asks one data source for everything, as cloud-init does at a boot, and prints what it heard.
PROGRAM = """
import json, sys
from cloudinit import helpers, net
from cloudinit.sources import DataSourceConfigDrive, DataSourceOpenStack
from cloudinit.sources.helpers import openstack

kind, place, run, macs = sys.argv[1:]
# The machine as it is in the guest: its cards, and what it says of itself (DMI).
net.get_interfaces_by_mac = lambda *_, **__: json.loads(macs)
DataSourceOpenStack.dmi.read_dmi_data = {"system-product-name": "OpenStack Nova"}.get
# These would go into the files of this machine.
DataSourceConfigDrive.write_injected_files = lambda files: None

paths = helpers.Paths({"cloud_dir": f"{run}/cloud", "run_dir": run})
settings = {"datasource_list": ["ConfigDrive", "OpenStack"]}
if kind == "drive":
    source = DataSourceConfigDrive.DataSourceConfigDrive(settings, None, paths)
    source.seed_dir = place
else:
    # EC2's part of it is always asked at 169.254.169.254.
    ec2 = openstack.ec2.get_instance_metadata
    openstack.ec2.get_instance_metadata = lambda **_: ec2(metadata_address=place)
    settings["datasource"] = {"OpenStack": {"metadata_urls": [place], "max_wait": 5, "retries": 1}}
    source = DataSourceOpenStack.DataSourceOpenStack(settings, None, paths)
assert source.get_data(), "cloud-init does not take this data source"
print(json.dumps({
    "version": source.version,
    "instance_id": source.get_instance_id(),
    "hostname": source.metadata["local-hostname"],
    "keys": source.get_public_ssh_keys(),
    "zone": source.availability_zone,
    "meta": source.metadata["meta"],
    "seed_bytes": len(source.metadata["random_seed"]),
    "admin_pass": source.metadata.get("admin_pass"),
    "user_data": source.get_userdata_raw().decode(),
    "vendor_data": source.get_vendordata_raw(),
    "files": {path: content.decode("latin-1") for path, content in source.files.items()},
    "ec2": source.ec2_metadata,
    "network": source.network_config,
}))
"""


def unpacked() -> Path:
    """The folder of cloud-init's modules; downloaded when it is not there yet."""
    modules = FOLDER / "usr/lib/python3/dist-packages"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        # Tests run beside each other.
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = FOLDER / "done"
        if not done.exists():
            _unpack()
            done.touch()
    return modules


def _unpack() -> None:
    command = ("apt-get", "--quiet", "--option=APT::Sandbox::User=", "download", *PACKAGES)
    loaded = subprocess.run(command, cwd=FOLDER, check=False, capture_output=True, text=True)
    assert loaded.returncode == 0, f"{loaded.stderr}\nRefresh the package lists: apt-get update"
    for package in FOLDER.glob("*.deb"):
        subprocess.run(("dpkg-deb", "--extract", package, FOLDER), check=True)


def read(kind: str, place: str, run: Path, macs: dict[str, str]) -> dict[str, Any]:
    """What cloud-init makes of a config drive's folder (``drive``) or of a URL (``service``).

    ``macs`` are the names of the guest's cards, ``run`` is a folder for what cloud-init writes.
    """
    done = subprocess.run(
        (sys.executable, "-W", "ignore", "-c", PROGRAM, kind, place, str(run), json.dumps(macs)),
        env={"PYTHONPATH": str(unpacked()), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
