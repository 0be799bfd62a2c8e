"""Networks: who may see, make and use which."""

from dataclasses import dataclass
from typing import Final

from actors.model.errors import Invalid
from actors.model.identity import Principal, Role
from actors.model.ids import NetworkId, ProjectId, network_id_for
from actors.model.network import AddressRange, Network, NetworkKind
from actors.model.network_commands import CreateNetwork
from actors.model.network_ledger import unknown_network
from actors.model.subnet import address_of, range_of
from actors.ports.network import Networks
from gateway.app.addresses import address_if_any, field_invalid, read
from gateway.app.auth import is_admin, need_project, need_role, project_scope
from gateway.app.filters import parse_filter
from gateway.app.instances import request_id_of
from gateway.app.pages import Listed, Pager, PageRequest, page_of
from gateway.app.tokens import Signer

#: Our fields, and which of the request each of them was.
_WIRE: Final = {
    "cidr": "network.subnets[0].cidr",
    "gateway": "network.subnets[0].gateway",
    "dhcp": "network.subnets[0].dhcp_server",
    "pools": "network.subnets[0].allocation_pools",
    "dns": "network.dns_servers",
    "mtu": "network.mtu",
}


@dataclass(frozen=True, slots=True)
class NewSubnet:
    """A range, as its caller wrote it; what is empty is chosen."""

    cidr: str
    gateway: str = ""
    dhcp: str = ""
    #: First and last address of each.
    pools: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class NewNetwork:
    """What a caller asks for; nothing of it is checked yet."""

    project: ProjectId
    label: str
    subnets: tuple[NewSubnet, ...]
    request_id: str = ""
    #: None: the usual one.
    kind: NetworkKind | None = None
    shared: bool = False
    mtu: int = 0
    dns: tuple[str, ...] = ()


class NetworkCases:
    """What can be asked of networks.

    All of them raise:
        NotFound: It is not there, or another project's own.
        Forbidden: A reader changes something, or somebody who is no admin what all share.
    """

    def __init__(self, networks: Networks, signer: Signer) -> None:
        self._networks = networks
        self._signer = signer

    async def create(self, caller: Principal, new: NewNetwork) -> Network:
        """Make a network; durable when it returns. The same request id makes it once (AIP-155).

        Raises:
            Invalid: A field is wrong, or the network cannot work.
            QuotaExceeded: The project has as many as one may have.
            pydantic.ValidationError: A field breaks a limit of ``CreateNetwork``.
        """
        need_project(caller, new.project)
        need_role(caller, Role.MEMBER)
        kind = new.kind or NetworkKind.VXLAN
        if new.shared or kind is NetworkKind.FLAT:
            # The hosts' cards, and what every project sees, are the operator's.
            need_role(caller, Role.ADMIN)
        command = _command(new, kind, network_id_for(new.project, request_id_of(new.request_id)))
        try:
            return await self._networks.create_network(command)
        except Invalid as error:
            wrong = {_WIRE.get(field, field): what for field, what in error.metadata.items()}
            raise Invalid(error.message, error.reason, error.detail, wrong) from None

    async def get(self, caller: Principal, network: NetworkId) -> Network:
        """One network."""
        found = await self._networks.network(network)
        if not (found.shared or found.project == caller.project or is_admin(caller)):
            raise unknown_network(network)
        return found

    async def list(
        self, caller: Principal, project: ProjectId, filter_text: str, request: PageRequest
    ) -> Listed[Network]:
        """The networks a project's instances may be on, or all (``-``, admins only), by label.

        Raises:
            Invalid: The page request or the filter is wrong.
        """
        scope = project_scope(caller, project)
        label = parse_filter(filter_text, ("display_name",)).get("display_name")
        return page_of(
            (
                network
                for network in await self._networks.networks()
                if (scope is None or network.shared or network.project == scope)
                and label in (None, network.label)
            ),
            lambda network: (network.label, network.id),
            Pager(self._signer, "networks", scope, filter_text),
            request,
        )

    async def delete(self, caller: Principal, network: NetworkId) -> None:
        """Delete it; durable when it returns.

        Raises:
            Conflict: Somebody has a port on it.
        """
        found = await self.get(caller, network)
        need_role(caller, Role.ADMIN if found.shared else Role.MEMBER)
        await self._networks.delete_network(network)


def _command(new: NewNetwork, kind: NetworkKind, network: NetworkId) -> CreateNetwork:
    if len(new.subnets) != 1:
        raise field_invalid("network.subnets", "must be exactly one")
    (subnet,) = new.subnets
    pools = _WIRE["pools"]
    return CreateNetwork(
        id=network,
        project=new.project,
        label=new.label,
        kind=kind,
        shared=new.shared,
        cidr=read(_WIRE["cidr"], subnet.cidr, range_of),
        gateway=address_if_any(_WIRE["gateway"], subnet.gateway),
        dhcp=address_if_any(_WIRE["dhcp"], subnet.dhcp),
        dns=tuple(read(_WIRE["dns"], server, address_of) for server in new.dns),
        pools=tuple(
            AddressRange(first=read(pools, first, address_of), last=read(pools, last, address_of))
            for first, last in subnet.pools
        ),
        mtu=new.mtu or None,
    )
