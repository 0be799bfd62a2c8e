"""Real guests of one network on two hosts."""

import sys
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.live.stack import sight
from tests.live.stack.client import Client
from tests.live.stack.cloud import UEC, Cloud, Guest, eventually, inside
from tools.testhosts import TestHost

pytestmark = pytest.mark.timeout(400)

PROJECT: Final = "between"
NETWORK: Final = "5a3d1f60-9a1f-4c0e-8c39-0d3c5d1b7a11"
VNI: Final = 4242
NAMESPACE: Final = f"qdhcp-{NETWORK}"
TUNNEL: Final = f"vx-{NETWORK[:11]}"
#: Of one look at a host's links, and so how exact the time is that is printed.
_LOOK_SECONDS: Final = 0.02


@pytest.fixture
def client(cloud: Cloud) -> Iterator[Client]:
    """An administrator whose project has a network between the hosts."""
    file = "/tmp/between/credentials.toml"
    Path(f"{cloud.head.folder}/tmp/between").mkdir(exist_ok=True)
    cloud.manage(
        cloud.head, "token", "create", "--user", "tester", "--project", PROJECT,
        "--role", "admin", "--output", file,
    )  # fmt: skip
    cloud.on_head(sys.executable, "-m", "tests.live.stack.between", PROJECT, NETWORK, str(VNI))
    token = tomllib.loads(Path(f"{cloud.head.folder}{file}").read_text())["token"]
    made = cloud.client_of(token, PROJECT)
    try:
        yield made
    finally:
        there = {**made.instances(), **made.instances("state = SOFT_DELETED")}
        made.succeeded(*[made.delete(name).name for name in there])
        made.close()
        cloud.manage(cloud.head, "token", "revoke", "--file", file)


def floods(host: TestHost) -> set[str]:
    """Where the host sends frames for everybody on the network."""
    shown = host.run(["bridge", "fdb", "show", "dev", TUNNEL]).stdout
    return {
        line.split()[2] for line in shown.splitlines() if line.startswith("00:00:00:00:00:00 dst ")
    }


def booted(cloud: Cloud, client: Client, host: TestHost) -> Guest:
    boot = client.boot("vm", cloud.image(UEC), host=host.name)
    client.succeeded(boot.operation)
    return cloud.guest(boot.instance)


def received(guest: Guest, address: str, count: int) -> int:
    """How many of so many pings, a second apart, were answered."""
    said = inside(guest, f"ping -c {count} -W 5 {address}", NAMESPACE)
    assert f"{count} packets transmitted" in said, said
    return int(said.split("packets transmitted, ")[1].split()[0])


def test_guests_on_two_hosts_reach_each_other_whatever_dies(cloud: Cloud, client: Client) -> None:
    before = [sight.traces(host) for host in cloud.hosts]
    first = booted(cloud, client, cloud.head)
    assert floods(cloud.head) == set()
    boot = client.boot("vm", cloud.image(UEC), host=cloud.other.name)
    link = Path(f"/proc/{cloud.other.holder_pid}/root/proc/{cloud.other.holder_pid}/net/dev")
    eventually(lambda: f"{TUNNEL}:" in link.read_text(), "the other host has the network")
    begun = time.monotonic()
    eventually(lambda: floods(cloud.head) == {cloud.other.address}, "the first host has its peer")
    took = time.monotonic() - begun
    sys.stdout.write(f"from the link there to the peer here: {took:.3f} s\n")
    client.succeeded(boot.operation)
    second = cloud.guest(boot.instance)
    eventually(lambda: floods(cloud.other) == {cloud.head.address}, "and the other way round")
    assert first.address != second.address
    client.log_in_appears([first.name, second.name])
    assert received(first, second.address, 3)
    assert received(second, first.address, 3)

    with ThreadPoolExecutor(1) as pool:
        pings = pool.submit(received, first, second.address, 10)
        old = {
            (host.name, kind): sight.actor(host, kind)
            for host, kind in (
                (cloud.head, "NetworkActor"),
                (cloud.head, "HostActor"),
                (cloud.other, "HostActor"),
            )
        }
        sight.kill(old.values())
        while not pings.done():
            # Without a pause in between, whoever is away: the kernel does it alone.
            assert floods(cloud.head) == {cloud.other.address}
            assert floods(cloud.other) == {cloud.head.address}
            time.sleep(_LOOK_SECONDS)
        assert pings.result() >= 5
    eventually(lambda: all(map(cloud.is_up, cloud.hosts)), "both hosts are up")
    third = booted(cloud, client, cloud.other)
    assert floods(cloud.head) == {cloud.other.address}
    assert floods(cloud.other) == {cloud.head.address}

    client.succeeded(client.delete(second.name).name, client.delete(third.name).name)
    eventually(lambda: floods(cloud.head) == set(), "the peer is taken away")
    client.succeeded(client.delete(first.name).name)
    eventually(lambda: [sight.traces(host) for host in cloud.hosts] == before, "nothing is left")
