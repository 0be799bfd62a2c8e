"""Calls about networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.calls import Calls, pages
from protos.novaray.v1 import networks_pb2, networks_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator


class NetworkCalls(Calls):
    """What can be asked about what guests' cards are on."""

    def create_network(
        self, network: networks_pb2.Network, request_id: str
    ) -> networks_pb2.Network:
        """Make a network."""
        request = networks_pb2.CreateNetworkRequest(
            parent=f"projects/{self._connection.project}", network=network, request_id=request_id
        )
        return self._call(self._networks.CreateNetwork, request)

    def list_networks(
        self, filter_text: str = "", *, all_projects: bool = False
    ) -> Iterator[networks_pb2.Network]:
        """Networks that servers of the project may be on, by label."""
        project = "-" if all_projects else self._connection.project

        def page(token: str, size: int) -> tuple[list[networks_pb2.Network], str]:
            request = networks_pb2.ListNetworksRequest(
                parent=f"projects/{project}", page_size=size, page_token=token, filter=filter_text
            )
            response = self._call(self._networks.ListNetworks, request)
            return list(response.networks), response.next_page_token

        return pages(page)

    def get_network(self, name: str) -> networks_pb2.Network:
        """One network, by resource name."""
        return self._call(self._networks.GetNetwork, networks_pb2.GetNetworkRequest(name=name))

    def delete_network(self, name: str) -> None:
        """Delete a network, by resource name."""
        self._call(self._networks.DeleteNetwork, networks_pb2.DeleteNetworkRequest(name=name))

    @property
    def _networks(self) -> networks_pb2_grpc.NetworkServiceStub:
        return networks_pb2_grpc.NetworkServiceStub(self._channel)
