"""NetworkService."""

from google.protobuf.empty_pb2 import Empty

from gateway.app.auth import is_admin
from gateway.app.networks import NetworkCases
from gateway.app.pages import PageRequest
from gateway.rpc.call import Context, caller, request_id_or_own
from gateway.rpc.names import any_project_of, network_of
from gateway.rpc.replies import fitting
from gateway.rpc.translate.networks import network_message, new_network
from protos.novaray.v1 import networks_pb2 as pb
from protos.novaray.v1 import networks_pb2_grpc


class NetworksService(networks_pb2_grpc.NetworkServiceServicer):
    """What guests' cards are on."""

    def __init__(self, networks: NetworkCases) -> None:
        self._networks = networks

    async def CreateNetwork(self, request: pb.CreateNetworkRequest, context: Context) -> pb.Network:
        """Make a network (AIP-133, AIP-155)."""
        who = caller()
        new = new_network(request, request_id_or_own(request.request_id))
        return network_message(await self._networks.create(who, new), admin=is_admin(who))

    async def GetNetwork(self, request: pb.GetNetworkRequest, context: Context) -> pb.Network:
        """One network (AIP-131)."""
        who = caller()
        found = await self._networks.get(who, network_of(request.name))
        return network_message(found, admin=is_admin(who))

    async def ListNetworks(
        self, request: pb.ListNetworksRequest, context: Context
    ) -> pb.ListNetworksResponse:
        """A page of the networks a project's instances may be on (AIP-132, AIP-158)."""
        who = caller()
        page = PageRequest(request.page_size, request.page_token)
        project = any_project_of(request.parent)
        listed = await self._networks.list(who, project, request.filter, page)
        admin = is_admin(who)
        messages, token = fitting(listed, lambda network: network_message(network, admin=admin))
        return pb.ListNetworksResponse(networks=messages, next_page_token=token)

    async def DeleteNetwork(self, request: pb.DeleteNetworkRequest, context: Context) -> Empty:
        """Delete what nobody has a port on (AIP-135)."""
        await self._networks.delete(caller(), network_of(request.name))
        return Empty()
