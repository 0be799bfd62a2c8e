"""A real guest with cards on two networks: each gets what its network says, by DHCP."""

import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from protos.novaray.v1.networks_pb2 import Network
from tests.live.stack import sight
from tests.live.stack.cloud import UEC, Cloud, Guest, eventually, inside

pytestmark = pytest.mark.timeout(600)

_BOOT_SECONDS = 120
ADDRESS = "10.77.0.9"


@pytest.fixture
def web(cloud: Cloud) -> Iterator[Network]:
    """A network of the project's own, which is gone after the test."""
    made = cloud.client.new_network("web", "10.77.0.0/24", "9.9.9.9")
    yield made
    cloud.mend()
    cloud.client.delete_network(made.name)


def namespaces(guest: Guest) -> set[str]:
    return {file.name for file in Path(f"{guest.host.folder}/run/netns").glob("qdhcp-*")}


def test_a_guest_with_two_cards(cloud: Cloud, web: Network) -> None:
    before = sight.traces(cloud.head)
    private = cloud.client.networks()["private"]
    boot = cloud.client.boot(
        "two",
        cloud.image(UEC),
        host=cloud.head.name,
        networks=[(private.name, ""), (web.name, ADDRESS)],
    )
    cloud.client.succeeded(boot.operation)
    first, second = cloud.client.get(boot.instance).addresses
    assert (first.network, second.network, second.address) == ("private", "web", ADDRESS)
    cloud.client.log_in_appears([boot.instance], seconds=_BOOT_SECONDS)

    (private_server,) = (subnet.dhcp_server for subnet in private.subnets)
    servers = [c for c in sight.processes(cloud.head).values() if c.startswith("dnsmasq")]
    assert [c for c in servers if "option:dns-server,9.9.9.9 " in c and web.uid in c]
    # From each network's namespace its own card answers, and lets its owner in.
    for card, network in ((first, private), (second, web)):
        guest = Guest(boot.instance, cloud.head, card.address)
        where = f"qdhcp-{network.uid}"
        assert where in namespaces(guest)
        said = ""

        def logs_in(guest: Guest = guest, where: str = where) -> bool:
            nonlocal said
            said = inside(guest, "ip -4 addr; cat /etc/resolv.conf", where)
            return "nameserver" in said and all(c.address in said for c in (first, second))

        eventually(logs_in, f"ssh by {where}", _BOOT_SECONDS)
        found = re.findall(r"(eth\d): .* mtu (\d+) .*\n +inet (\S+)", said)
        assert found == [
            ("eth0", "1500", f"{first.address}/20"),
            ("eth1", "1450", f"{ADDRESS}/24"),
        ], said
        # The card that came up last has the last word.
        assert set(re.findall(r"nameserver (\S+)", said)) <= {"9.9.9.9", private_server}

    with pytest.raises(grpc.RpcError) as refused:
        cloud.client.delete_network(web.name)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    cloud.client.succeeded(cloud.client.delete(boot.instance).name)
    eventually(lambda: sight.traces(cloud.head) == before, "the host is as it was", 20)
