"""Networks to messages, and back."""

from typing import Final

from actors.model.errors import Invalid
from actors.model.network import Network, NetworkKind
from gateway.app.networks import NewNetwork, NewSubnet
from gateway.rpc.names import project_of
from gateway.rpc.translate.instants import timestamp
from protos.novaray.v1 import networks_pb2 as pb

_KIND: Final = {kind: pb.Network.Kind.Value(f"KIND_{kind.name}") for kind in NetworkKind}
_KIND_OF: Final[dict[int, NetworkKind]] = {number: kind for kind, number in _KIND.items()}


def network_message(network: Network, *, admin: bool) -> pb.Network:
    """The network on the wire; ``admin``: whether the reader may know its VXLAN's number."""
    subnet = pb.Subnet(
        cidr=str(network.cidr),
        gateway=str(network.gateway),
        dhcp_server=str(network.dhcp),
        allocation_pools=[
            pb.AddressRange(first=str(pool.first), last=str(pool.last)) for pool in network.pools
        ],
    )
    return pb.Network(
        name=f"networks/{network.id}",
        uid=network.id,
        display_name=network.label,
        project=f"projects/{network.project}" if network.project else "",
        shared=network.shared,
        kind=_KIND[network.kind],
        vni=network.vni if admin else 0,
        mtu=network.mtu,
        subnets=[subnet],
        dns_servers=map(str, network.dns),
        create_time=timestamp(network.created),
    )


def new_network(request: pb.CreateNetworkRequest, request_id: str) -> NewNetwork:
    """What a create asks for.

    Raises:
        Invalid: The parent is malformed, or the kind unknown.
    """
    asked = request.network
    return NewNetwork(
        project=project_of(request.parent),
        label=asked.display_name,
        request_id=request_id,
        kind=_kind(asked.kind),
        shared=asked.shared,
        mtu=asked.mtu,
        dns=tuple(asked.dns_servers),
        subnets=tuple(
            NewSubnet(
                cidr=subnet.cidr,
                gateway=subnet.gateway,
                dhcp=subnet.dhcp_server,
                pools=tuple((pool.first, pool.last) for pool in subnet.allocation_pools),
            )
            for subnet in asked.subnets
        ),
    )


def _kind(number: int) -> NetworkKind | None:
    if number and number not in _KIND_OF:
        raise Invalid(
            f"The request is not valid: network.kind: {number} is no kind of network.",
            "FIELD_INVALID",
            "",
            {"network.kind": f"{number} is no kind of network"},
        )
    return _KIND_OF.get(number)
