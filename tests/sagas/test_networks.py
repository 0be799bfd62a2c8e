"""Instances on networks of their choice: whatever fails, all their cards, or every address back."""

from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from actors.model.errors import Conflict, HypervisorRefused, Unavailable
from actors.model.ids import NetworkId
from actors.model.network import Network, WantedCard
from actors.model.network_commands import CreateNetwork
from actors.model.operation import Action, OperationRecord, OperationState
from actors.ports.host import HostStep
from actors.ports.store import Table
from actors.sagas.boot import BOOT, clones
from actors.sagas.volumes import brings_volume
from tests.local.cluster import PROJECT, LocalCluster, local_cluster

WEB = NetworkId("a1111111-1111-4111-8111-111111111111")
LAB = NetworkId("b2222222-2222-4222-8222-222222222222")
ADDRESS = IPv4Address("10.2.0.9")
#: The first network twice, with an address of its choice on the second in between.
CARDS = (
    WantedCard(network=WEB),
    WantedCard(network=LAB, address=ADDRESS),
    WantedCard(network=WEB),
)
POINTS = [
    f"create.{step.do.value if isinstance(step.do, HostStep) else step.name}"
    for step in BOOT.steps
    if step.when not in (clones, brings_volume)
]
ACTORS = ("instances", "host1", "network", "conductor")


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with local_cluster(tmp_path) as made:
        for network, label, cidr in ((WEB, "web", "10.1.0.0/24"), (LAB, "lab", "10.2.0.0/24")):
            await new_network(made, network, label, cidr)
        yield made


async def new_network(cluster: LocalCluster, network: NetworkId, label: str, cidr: str) -> Network:
    command = CreateNetwork(id=network, project=PROJECT, label=label, cidr=IPv4Network(cidr))
    made: Network = await cluster.network.create_network(command)
    return made


def refused() -> HypervisorRefused:
    return HypervisorRefused("The hypervisor refused, as the test says.", "TEST_REFUSAL")


def lost() -> Unavailable:
    return Unavailable("The answer was lost, as the test says.", "TEST_LOST")


async def assert_runs(cluster: LocalCluster, done: OperationRecord) -> None:
    """With its three cards, in order; and nobody else has any."""
    assert done.state is OperationState.SUCCEEDED, done.fault
    record = await cluster.instances.get(done.instance)
    assert [nic.network.label for nic in record.nics] == ["web", "lab", "web"]
    assert record.nics[1].address == ADDRESS
    assert record.nics[0].address != record.nics[2].address
    assert await cluster.ports() == 3
    assert cluster.domains() == {done.instance: "running"}


async def assert_free(cluster: LocalCluster) -> None:
    """Nobody has a card, and both networks can go."""
    assert await cluster.ports() == 0
    for network in (WEB, LAB):
        await cluster.network.delete_network(network)


async def delete(cluster: LocalCluster, instance: str) -> None:
    done = await cluster.ended((await cluster.act(instance, Action.DELETE)).operation)  # type: ignore[arg-type]
    assert done.state is OperationState.SUCCEEDED, done


async def test_a_boot_on_networks_and_its_end(cluster: LocalCluster) -> None:
    done = await cluster.ended((await cluster.boot(cards=CARDS)).operation)
    await assert_runs(cluster, done)
    with pytest.raises(Conflict) as caught:
        await cluster.network.delete_network(LAB)
    assert caught.value.reason == "NETWORK_IN_USE"
    for action in (Action.STOP, Action.START):
        await cluster.ended((await cluster.act(done.instance, action)).operation)
    await assert_runs(cluster, done)
    await delete(cluster, done.instance)
    await assert_free(cluster)


async def test_who_names_none_is_on_the_projects_oldest(cluster: LocalCluster) -> None:
    done = await cluster.ended((await cluster.boot()).operation)
    record = await cluster.instances.get(done.instance)
    assert [nic.network.label for nic in record.nics] == ["web"]


async def test_two_want_one_address(cluster: LocalCluster) -> None:
    cards = (WantedCard(network=LAB, address=ADDRESS),)
    first = await cluster.boot(cards=cards)
    second = await cluster.boot("late", cards=cards)
    ended = [await cluster.ended(one.operation) for one in (first, second)]
    assert {one.state for one in ended} == {OperationState.SUCCEEDED, OperationState.FAILED}
    (failed,) = (one for one in ended if one.state is OperationState.FAILED)
    assert failed.fault is not None
    assert failed.fault.reason == "ADDRESS_IN_USE"
    assert await cluster.ports() == 1


async def test_a_network_that_went_meanwhile(cluster: LocalCluster) -> None:
    cluster.gate.hold("create.ports.before")
    made = await cluster.boot(cards=CARDS)
    await cluster.gate.arrival("create.ports.before")
    await cluster.network.delete_network(LAB)
    cluster.gate.release("create.ports.before")
    done = await cluster.ended(made.operation)
    assert (done.state, done.fault and done.fault.reason) == (
        OperationState.FAILED,
        "NETWORK_NOT_FOUND",
    )
    assert await cluster.claims() == 0
    await assert_free(cluster)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", POINTS)
async def test_a_step_fails(cluster: LocalCluster, point: str, when: str) -> None:
    cluster.gate.fail(f"{point}.{when}", refused, times=9)
    done = await cluster.ended((await cluster.boot(cards=CARDS)).operation)
    assert f"{point}.{when}" in cluster.gate.reached
    assert done.state is OperationState.FAILED
    await delete(cluster, done.instance)
    await assert_free(cluster)
    assert not await cluster.store.load(Table.CLAIMS)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", POINTS)
async def test_an_answer_is_lost(cluster: LocalCluster, point: str, when: str) -> None:
    cluster.gate.fail(f"{point}.{when}", lost)
    await assert_runs(cluster, await cluster.ended((await cluster.boot(cards=CARDS)).operation))


@pytest.mark.parametrize("crashed", ACTORS)
@pytest.mark.parametrize("point", POINTS)
async def test_an_actor_dies(cluster: LocalCluster, point: str, crashed: str) -> None:
    cluster.gate.hold(f"{point}.after")
    made = await cluster.boot(cards=CARDS)
    await cluster.gate.arrival(f"{point}.after")
    await cluster.crash(crashed)
    cluster.gate.release(f"{point}.after")
    await assert_runs(cluster, await cluster.ended(made.operation))
