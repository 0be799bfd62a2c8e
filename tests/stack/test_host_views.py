"""Hosts of a whole cluster learn of each other's guests, whatever dies meanwhile."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.model.ids import InstanceId, NetworkId
from actors.model.network import NetworkKind
from actors.model.operation import Action, OperationState
from tests.fakes.memory_host_network import MemoryHostNetwork
from tests.local.cluster import PROJECT, LocalCluster

HOSTS = ("host1", "host2")


class Overlay:
    """A cluster of two hosts whose project has a network between them."""

    def __init__(self, folder: Path) -> None:
        self.wires = {
            name: MemoryHostNetwork(f"192.0.2.{number}") for number, name in enumerate(HOSTS, 1)
        }
        self.cluster = LocalCluster(folder, hosts=2, wires=self.wires.__getitem__)

    async def start(self) -> None:
        await self.cluster.start()
        (private,) = await self.cluster.network.networks()
        await self.cluster.network.ensure_network(
            private.evolve(
                id=NetworkId("33333333-3333-4333-8333-333333333333"),
                label="between",
                project=PROJECT,
                shared=False,
                kind=NetworkKind.VXLAN,
                vni=7,
            )
        )

    async def guest(self, name: str, host: str) -> InstanceId:
        """An instance on this host: it is the only one that may be used."""
        for each in HOSTS:
            await self.cluster.scheduler.set_enabled(each, each == host, "for the test")
        accepted = await self.cluster.boot(name)
        ended = await self.cluster.ended(accepted.operation)
        assert ended.state is OperationState.SUCCEEDED
        return InstanceId(accepted.instance.id)

    async def until_peers(self, first: set[str], second: set[str]) -> None:
        one, other = (self.wires[name] for name in HOSTS)
        await self.cluster.until(lambda: (one.peers, other.peers) == (first, second))


@pytest.fixture
async def overlay(tmp_path: Path) -> AsyncIterator[Overlay]:
    made = Overlay(tmp_path)
    try:
        await made.start()
        yield made
    finally:
        await made.cluster.stop()


async def test_hosts_become_peers_with_their_guests_and_stop_being_so(overlay: Overlay) -> None:
    await overlay.guest("one", "host1")
    await overlay.until_peers(set(), set())
    other = await overlay.guest("two", "host2")
    await overlay.until_peers({"192.0.2.2"}, {"192.0.2.1"})
    (port,) = overlay.wires["host2"].followed[-1].ports
    assert port.instance == other
    accepted = await overlay.cluster.act(other, Action.DELETE)
    await overlay.cluster.ended(accepted.operation)
    await overlay.until_peers(set(), set())


@pytest.mark.parametrize("victim", ["network", "conductor", *HOSTS])
async def test_peers_are_known_again_after_a_crash(overlay: Overlay, victim: str) -> None:
    await overlay.guest("one", "host1")
    await overlay.guest("two", "host2")
    await overlay.until_peers({"192.0.2.2"}, {"192.0.2.1"})
    before = {name: len(wires.followed) for name, wires in overlay.wires.items()}
    await overlay.cluster.crash(victim)
    third = await overlay.guest("three", "host1")
    await overlay.cluster.until(
        lambda: third in {port.instance for port in overlay.wires["host1"].followed[-1].ports}
    )
    await overlay.until_peers({"192.0.2.2"}, {"192.0.2.1"})
    told = [
        {str(peer.tunnel_address) for one in view.networks for peer in one.peers}
        for name, wires in overlay.wires.items()
        for view in wires.followed[before[name] :]
    ]
    assert told
    assert all(told), "nobody was told to take away a peer that is there"
