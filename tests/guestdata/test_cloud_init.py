"""Debian's cloud-init takes what guests are told: its own code reads drive and service."""

from pathlib import Path
from typing import Any

import pytest

from actors.guestdata.drive import drive_files
from tests.guestdata import cloud_init
from tests.guestdata.metadata_service import Service
from tests.unit.guestdata import guests

MACS = {"fa:16:3e:00:00:01": "eth0", "fa:16:3e:00:00:02": "eth1"}


@pytest.fixture(params=["drive", "service"])
def heard(request: pytest.FixtureRequest, tmp_path: Path, service: Service) -> dict[str, Any]:
    """What cloud-init has understood."""
    place = service.url
    if request.param == "drive":
        place = str(tmp_path / "drive")
        for path, content in drive_files(guests.full()).items():
            file = Path(place, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    found = cloud_init.read(request.param, place, tmp_path / "run", MACS)
    return {**found, "from": request.param}


def test_cloud_init_takes_it(heard: dict[str, Any]) -> None:
    from_drive = heard.pop("from") == "drive"
    ec2, network = heard.pop("ec2"), heard.pop("network")
    assert heard == {
        "version": 2,
        "instance_id": guests.ID,
        "hostname": "web-1.novalocal",
        "keys": [guests.KEY],
        "zone": "nova",
        "meta": guests.record().metadata,
        "seed_bytes": 512,
        "admin_pass": "u7wKfV3m77Bv" if from_drive else None,
        "user_data": guests.USER_DATA.decode(),
        "vendor_data": "#cloud-config\n{}\n",
        "files": {"/etc/motd": "hello\n", "/etc/a file": "\xff\x00"},
    }
    assert ec2["instance-id"] == "i-7d4b3a529f0e5d7c8"
    assert ec2["local-ipv4"] == "10.1.0.11"
    assert ec2["placement"] == {"availability-zone": "nova"}
    assert guests.KEY in str(ec2["public-keys"])
    assert network["version"] == 1
    cards = [each for each in network["config"] if each["type"] == "physical"]
    assert [(card["name"], card["mac_address"], card["mtu"]) for card in cards] == [
        (name, mac, 1450) for mac, name in MACS.items()
    ]
    assert all(card["subnets"] == [{"type": "dhcp4"}] for card in cards)
    assert {"type": "nameserver", "address": "10.1.0.2"} in network["config"]
