"""The trees of config drive and metadata service: tests/golden/guestdata shows them whole."""

import json
import os
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from actors.guestdata.drive import drive_files
from actors.guestdata.guest import Guest, HostShare
from actors.guestdata.openstack import OPENSTACK_VERSIONS
from actors.guestdata.service import answer
from tests.unit.guestdata import guests

GOLDEN = Path(__file__).parents[2] / "golden" / "guestdata"
UPDATE = os.environ.get("NOVARAY_GOLDEN_UPDATE") == "1"


def body(guest: Guest, path: str) -> bytes:
    found = answer(guest, path)
    assert found is not None, path
    return found.body


def crawl(guest: Guest, path: str) -> Iterator[tuple[str, bytes]]:
    """All that a guest finds which follows what the service lists."""
    text = body(guest, path)
    yield path, text
    for line in text.decode().split("\n"):
        name, equals, _ = line.partition("=")
        if line.endswith("/"):
            yield from crawl(guest, path + line)
        elif equals:
            yield from crawl(guest, f"{path}{name}/")
        else:
            yield path + line, body(guest, path + line)


def shown(files: dict[str, bytes]) -> str:
    """A file after the other; JSON with one field a line."""
    return "".join(f"== {path}\n{_readable(path, content)}\n" for path, content in files.items())


def _readable(path: str, content: bytes) -> str:
    if path.endswith(".json"):
        document = json.loads(content)
        if "random_seed" in document:
            document["random_seed"] = f"{len(document['random_seed'])} characters"
        return json.dumps(document, indent=2)
    return content.decode("utf-8", "backslashreplace")


def openstack(guest: Guest) -> dict[str, bytes]:
    """What the service has below one version."""
    names = body(guest, "/openstack/latest").decode().split("\n")
    return {f"/openstack/latest/{name}": body(guest, f"/openstack/latest/{name}") for name in names}


def ec2(guest: Guest) -> dict[str, bytes]:
    """What the service has of EC2's."""
    return dict(crawl(guest, "/latest/"))


CASES = {
    "drive-full": lambda: drive_files(guests.full()),
    "drive-bare": lambda: drive_files(guests.bare()),
    "service-openstack": lambda: openstack(guests.full()),
    "service-ec2": lambda: ec2(guests.full()),
    "service-ec2-bare": lambda: ec2(guests.bare()),
}


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    text = shown(CASES[name]())
    path = GOLDEN / f"{name}.txt"
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, "make golden-update, then read the difference"


def test_drive_and_service_say_the_same_but_for_the_password() -> None:
    guest = guests.full()
    for path, content in drive_files(guest).items():
        if path.endswith("meta-data.json"):  # EC2's service has no JSON
            continue
        served = body(guest, "/" + path.removeprefix("ec2/"))
        if path.endswith("meta_data.json"):
            document = json.loads(content)
            assert document.pop("admin_pass") == "u7wKfV3m77Bv"
            assert json.loads(served) == document
        else:
            assert served == content


def test_the_same_guest_gets_the_same_bytes_again() -> None:
    assert drive_files(guests.full()) == drive_files(guests.full())


def test_random_seeds_differ_by_guest_by_version_and_by_host() -> None:
    guest = guests.full()
    assert guest.data is not None
    rebuilt = Guest(guest.record, guest.data.evolve(id=f"{guest.record.id}.7"), guest.share)
    other = guests.record("7d4b3a52-9f0e-5d7c-8a41-000000000000")
    elsewhere = HostShare(b"another host's", {})
    seeds = {
        guest.random_seed,
        rebuilt.random_seed,
        Guest(other, guests.data(other), guest.share).random_seed,
        Guest(guest.record, guest.data, elsewhere).random_seed,
    }
    assert len(seeds) == 4


@pytest.mark.parametrize("version", OPENSTACK_VERSIONS)
def test_every_version_is_listed_and_served(version: str) -> None:
    guest = guests.full()
    assert version in body(guest, "/openstack").decode().split("\n")
    names = body(guest, f"/openstack/{version}/").decode().split("\n")
    assert "meta_data.json" in names
    for name in names:
        body(guest, f"/openstack/{version}/{name}")


def test_what_a_guest_asks_in_many_ways() -> None:
    guest = guests.full()
    assert body(guest, "/") == body(guest, "/ec2/") == b"2009-04-04\nlatest"
    assert body(guest, "/latest/meta-data/public-keys") == b"0=ann@example.com"
    assert body(guest, "//latest//meta-data/public-keys/0/openssh-key/").decode() == guests.KEY
    assert body(guest, "/openstack/content/0001") == b"hello\n"


@pytest.mark.parametrize(
    "path",
    [
        "/1999-01-01/meta-data", "/latest/nothing", "/latest/meta-data/nothing",
        "/latest/meta-data/hostname/x", "/latest/meta-data/public-keys/1",
        "/latest/meta-data/public-keys/0=ann@example.com", "/openstack/2099-01-01",
        "/openstack/latest/password", "/openstack/content", "/openstack/content/0002",
        "/openstack/latest/../latest/user_data", "/openstack/latest/meta_data.json/x",
        "/nothing", "/openstack/content/../../etc/passwd",
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found(path: str) -> None:
    assert answer(guests.full(), path) is None


def test_a_guest_without_user_data_finds_none() -> None:
    guest = guests.bare()
    assert answer(guest, "/latest/user-data") is None
    assert answer(guest, "/openstack/latest/user_data") is None


def test_an_old_record_without_a_host_name_gets_one() -> None:
    assert guests.bare().hostname == "web-1.novalocal"


def test_name_servers_are_those_of_the_networks() -> None:
    instance = guests.record()
    first, second = instance.nics
    named = second.network.evolve(dns=(IPv4Address("9.9.9.9"), first.network.dhcp))
    told = instance.evolve(nics=(first, second.evolve(network=named)))
    document = json.loads(
        body(Guest(told, None, guests.SHARE), "/openstack/latest/network_data.json")
    )
    assert document["services"] == [
        {"type": "dns", "address": str(address)} for address in (first.network.dhcp, named.dns[0])
    ]
