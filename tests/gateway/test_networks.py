"""Networks, and instances on them, as a client sees them."""

import uuid
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import QuotaFailure

from actors.model.ids import InstanceId, ProjectId
from actors.model.network import WantedCard
from actors.model.network_commands import NETWORK_LIMIT
from actors.ports.network import PortRelease, PortRequest
from protos.novaray.v1 import instances_pb2
from protos.novaray.v1 import networks_pb2 as pb
from tests.fakes.memory_networks import PRIVATE
from tests.gateway.cloud import ADMIN, READER, STRANGER, Client, Cloud, create, refused

CONFLICT, MISSING = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND
INVALID, DENIED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED


def making(label: str = "web", cidr: str = "10.1.0.0/24", **fields: Any) -> pb.CreateNetworkRequest:
    parent, request_id = fields.pop("parent", "projects/demo"), fields.pop("request_id", "")
    subnet = pb.Subnet(cidr=cidr, **fields.pop("subnet", {}))
    network = pb.Network(display_name=label, subnets=[subnet], **fields)
    return pb.CreateNetworkRequest(parent=parent, network=network, request_id=request_id)


async def labels(client: Client, parent: str = "projects/demo", **fields: Any) -> list[str]:
    listed = await client.networks.ListNetworks(pb.ListNetworksRequest(parent=parent, **fields))
    return [network.display_name for network in listed.networks]


async def get(client: Client, name: str) -> pb.Network:
    found: pb.Network = await client.networks.GetNetwork(pb.GetNetworkRequest(name=name))
    return found


async def delete(client: Client, name: str) -> None:
    await client.networks.DeleteNetwork(pb.DeleteNetworkRequest(name=name))


async def test_create_show_list_delete(cloud: Cloud) -> None:
    client = cloud.member
    made = await client.networks.CreateNetwork(making(dns_servers=["9.9.9.9"]))
    assert made.name == f"networks/{made.uid}"
    assert (made.display_name, made.project, made.shared) == ("web", "projects/demo", False)
    assert (made.kind, made.mtu, made.vni) == (pb.Network.KIND_VXLAN, 1450, 0)
    (subnet,) = made.subnets
    assert (subnet.cidr, subnet.gateway, subnet.dhcp_server) == (
        "10.1.0.0/24",
        "10.1.0.1",
        "10.1.0.2",
    )
    assert (list(subnet.allocation_pools), list(made.dns_servers)) == ([], ["9.9.9.9"])
    assert made.create_time.seconds
    assert await get(client, made.name) == made
    assert await labels(client) == ["private", "web"]
    assert await labels(client, filter="display_name = web") == ["web"]
    await delete(client, made.name)
    await refused(get(client, made.name), MISSING, "NETWORK_NOT_FOUND")
    await refused(delete(client, made.name), MISSING, "NETWORK_NOT_FOUND")


async def test_all_that_can_be_chosen(cloud: Cloud) -> None:
    pools = [{"first": "10.1.0.10", "last": "10.1.0.19"}, {"first": "10.1.0.3", "last": "10.1.0.3"}]
    request = making(
        subnet={
            "gateway": "10.1.0.254",
            "dhcp_server": "10.1.0.253",
            "allocation_pools": [pb.AddressRange(**pool) for pool in pools],
        },
        kind=pb.Network.KIND_FLAT,
        mtu=1400,
        shared=True,
        parent="projects/ops",
    )
    made = await cloud.connect(ADMIN).networks.CreateNetwork(request)
    (subnet,) = made.subnets
    assert (subnet.gateway, subnet.dhcp_server) == ("10.1.0.254", "10.1.0.253")
    assert [(p.first, p.last) for p in subnet.allocation_pools] == [
        (pool["first"], pool["last"]) for pool in pools
    ]
    assert (made.kind, made.mtu, made.shared, made.vni) == (pb.Network.KIND_FLAT, 1400, True, 0)


async def test_a_request_makes_one(cloud: Cloud) -> None:
    request = making(request_id=str(uuid.uuid4()))
    made = await cloud.member.networks.CreateNetwork(request)
    assert await cloud.member.networks.CreateNetwork(request) == made
    assert await labels(cloud.member) == ["private", "web"]


async def test_a_list_comes_in_pages_by_name(cloud: Cloud) -> None:
    for name in ("c", "a", "b"):
        await cloud.member.networks.CreateNetwork(making(name))
    stub = cloud.member.networks
    first = await stub.ListNetworks(pb.ListNetworksRequest(parent="projects/demo", page_size=3))
    rest = await stub.ListNetworks(
        pb.ListNetworksRequest(parent="projects/demo", page_token=first.next_page_token)
    )
    found = [network.display_name for network in (*first.networks, *rest.networks)]
    assert (found, rest.next_page_token) == (["a", "b", "c", "private"], "")


async def test_projects_are_kept_apart(cloud: Cloud) -> None:
    stranger, admin = cloud.connect(STRANGER), cloud.connect(ADMIN)
    made = await cloud.member.networks.CreateNetwork(making())
    await refused(get(stranger, made.name), MISSING, "NETWORK_NOT_FOUND")
    await refused(delete(stranger, made.name), MISSING, "NETWORK_NOT_FOUND")
    await refused(stranger.networks.CreateNetwork(making()), MISSING, "PROJECT_NOT_FOUND")
    assert await labels(stranger, "projects/other") == ["private"]
    # The administrator's own servers cannot be on it either; but all can be shown.
    assert await labels(admin, "projects/ops") == ["private"]
    assert await labels(admin, "projects/-") == ["private", "web"]
    assert (await get(admin, made.name)).vni
    assert not made.vni
    await refused(labels(stranger, "projects/-"), DENIED, "ROLE_MISSING")
    await delete(admin, made.name)
    assert await labels(admin, "projects/-") == ["private"]


async def test_what_all_share_is_the_administrators(cloud: Cloud) -> None:
    member, reader = cloud.member, cloud.connect(READER)
    for request in (making(shared=True), making(kind=pb.Network.KIND_FLAT)):
        await refused(member.networks.CreateNetwork(request), DENIED, "ROLE_MISSING")
    await refused(reader.networks.CreateNetwork(making()), DENIED, "ROLE_MISSING")
    own = await member.networks.CreateNetwork(making())
    await refused(delete(reader, own.name), DENIED, "ROLE_MISSING")
    for client in (member, reader, cloud.connect(STRANGER)):
        assert (await get(client, f"networks/{PRIVATE}")).project == ""
        await refused(delete(client, f"networks/{PRIVATE}"), DENIED, "ROLE_MISSING")
    await delete(cloud.connect(ADMIN), f"networks/{PRIVATE}")


async def test_as_many_as_a_project_may_have(cloud: Cloud) -> None:
    for _ in range(NETWORK_LIMIT):
        await cloud.member.networks.CreateNetwork(making())
    problem = await refused(
        cloud.member.networks.CreateNetwork(making()),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "NETWORK_QUOTA_EXCEEDED",
    )
    quota = problem.details["QuotaFailure"]
    assert isinstance(quota, QuotaFailure)
    assert quota.violations[0].subject == "projects/demo"


async def test_a_network_that_is_in_use(cloud: Cloud) -> None:
    made = await cloud.member.networks.CreateNetwork(making())
    await hold(cloud, made, "10.1.0.9")
    problem = await refused(delete(cloud.member, made.name), CONFLICT, "NETWORK_IN_USE")
    assert problem.info.metadata["network"] == made.uid
    await cloud.compute.networks.release(PortRelease(InstanceId("holder"), 1))
    await delete(cloud.member, made.name)


# --- instances on them ------------------------------------------------------------------------


async def hold(cloud: Cloud, network: pb.Network, address: str) -> None:
    """As the boot of another instance does it."""
    card = WantedCard.model_validate({"network": network.uid, "address": address})
    request = PortRequest(InstanceId("holder"), ProjectId("demo"), 1, (card,))
    await cloud.compute.networks.allocate(request)


def card(network: pb.Network | str, address: str = "") -> instances_pb2.RequestedNetwork:
    name = network if isinstance(network, str) else network.name
    return instances_pb2.RequestedNetwork(network=name, address=address)


async def test_an_instance_asks_for_networks(cloud: Cloud) -> None:
    made = await cloud.member.networks.CreateNetwork(making())
    cards = [card(made, "10.1.0.9"), card(f"networks/{PRIVATE}"), card(made)]
    await cloud.member.instances.CreateInstance(create(networks=cards))
    (command,) = cloud.compute.instances.commands
    assert [(str(c.network), str(c.address)) for c in command.cards] == [  # type: ignore[union-attr]
        (made.uid, "10.1.0.9"),
        (PRIVATE, "None"),
        (made.uid, "None"),
    ]


async def test_who_names_no_network_costs_no_question(cloud: Cloud) -> None:
    await cloud.member.instances.CreateInstance(create())
    (command,) = cloud.compute.instances.commands
    assert command.cards == ()  # type: ignore[union-attr]
    assert not cloud.compute.calls["check"]


async def test_the_same_request_again_is_not_in_its_own_way(cloud: Cloud) -> None:
    made = await cloud.member.networks.CreateNetwork(making())
    request = create(networks=[card(made, "10.1.0.9")], request_id=str(uuid.uuid4()))
    await cloud.member.instances.CreateInstance(request)
    (record,) = cloud.compute.instances.records.values()
    wanted = WantedCard.model_validate({"network": made.uid, "address": "10.1.0.9"})
    await cloud.compute.networks.allocate(PortRequest(record.id, record.project, 1, (wanted,)))
    await cloud.member.instances.CreateInstance(request)
    assert len(cloud.compute.instances.records) == 1
    call = cloud.member.instances.CreateInstance(create("other", networks=[card(made, "10.1.0.9")]))
    await refused(call, CONFLICT, "ADDRESS_IN_USE")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("10.1.0.0", "ADDRESS_OUTSIDE_SUBNET"),
        ("10.2.0.9", "ADDRESS_OUTSIDE_SUBNET"),
        ("10.1.0", "FIELD_INVALID"),
        ("10.1.0.9/24", "FIELD_INVALID"),
        ("::1", "FIELD_INVALID"),
        ("9" * 1000, "FIELD_INVALID"),
    ],
)
async def test_an_address_that_cannot_be(cloud: Cloud, address: str, reason: str) -> None:
    made = await cloud.member.networks.CreateNetwork(making())
    cards = [card(f"networks/{PRIVATE}"), card(made, address)]
    problem = await refused(
        cloud.member.instances.CreateInstance(create(networks=cards)), INVALID, reason
    )
    assert list(problem.info.metadata) == ["networks[1].address"]
    assert not cloud.compute.instances.commands


async def test_an_address_that_somebody_has(cloud: Cloud) -> None:
    made = await cloud.member.networks.CreateNetwork(making())
    await hold(cloud, made, "10.1.0.9")
    for address in ("10.1.0.1", "10.1.0.2", "10.1.0.9"):
        call = cloud.member.instances.CreateInstance(create(networks=[card(made, address)]))
        problem = await refused(call, CONFLICT, "ADDRESS_IN_USE")
        assert dict(problem.info.metadata) == {"network": made.uid, "address": address}
    twice = [card(made, "10.1.0.10"), card(made, "10.1.0.10")]
    call = cloud.member.instances.CreateInstance(create(networks=twice))
    await refused(call, CONFLICT, "ADDRESS_IN_USE")
    assert not cloud.compute.instances.commands


async def test_networks_that_an_instance_cannot_be_on(cloud: Cloud) -> None:
    theirs = await cloud.connect(STRANGER).networks.CreateNetwork(making(parent="projects/other"))
    nobodys = f"networks/{uuid.uuid4()}"
    for token in (None, ADMIN):
        client = cloud.connect(token) if token else cloud.member
        for name in (theirs.name, nobodys):
            call = client.instances.CreateInstance(
                create(networks=[card(f"networks/{PRIVATE}"), card(name)])
            )
            problem = await refused(call, INVALID, "NETWORK_NOT_FOUND")
            assert list(problem.info.metadata) == ["networks[1].network"]
    for name in ("", "private", f"projects/demo/networks/{PRIVATE}"):
        call = cloud.member.instances.CreateInstance(create(networks=[card(name)]))
        problem = await refused(call, INVALID, "RESOURCE_NAME_INVALID")
        assert list(problem.info.metadata) == ["networks[0].network"]
    many = [card(f"networks/{PRIVATE}")] * 9
    problem = await refused(
        cloud.member.instances.CreateInstance(create(networks=many)), INVALID, "FIELD_INVALID"
    )
    assert list(problem.info.metadata) == ["networks"]
    assert not cloud.compute.instances.commands


async def test_a_clone_is_on_its_origins_networks(cloud: Cloud) -> None:
    made = await cloud.member.networks.CreateNetwork(making())
    await cloud.member.instances.CreateInstance(create())
    (record,) = cloud.compute.instances.records.values()
    wanted = tuple(WantedCard.model_validate({"network": n}) for n in (made.uid, PRIVATE))
    nics = await cloud.compute.networks.allocate(PortRequest(record.id, record.project, 1, wanted))
    cloud.compute.instances.records[record.id] = record.evolve(nics=nics)
    name = f"projects/demo/instances/{record.id}"
    await cloud.member.instances.CloneInstance(instances_pb2.CloneInstanceRequest(name=name))
    assert cloud.compute.instances.commands[-1].cards == wanted  # type: ignore[union-attr]
