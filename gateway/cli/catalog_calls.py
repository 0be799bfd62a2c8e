"""Calls about flavors and key pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.calls import Calls, pages
from protos.novaray.v1 import flavors_pb2, flavors_pb2_grpc, keypairs_pb2, keypairs_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class CatalogCalls(Calls):
    """What can be asked about what instances are made with."""

    # --- flavors ------------------------------------------------------------------------------

    def list_flavors(self) -> Iterator[flavors_pb2.Flavor]:
        """All flavors, by memory."""

        def page(token: str, size: int) -> tuple[list[flavors_pb2.Flavor], str]:
            request = flavors_pb2.ListFlavorsRequest(page_size=size, page_token=token)
            response = self._call(self._flavors.ListFlavors, request)
            return list(response.flavors), response.next_page_token

        return pages(page)

    def create_flavor(self, request: flavors_pb2.CreateFlavorRequest) -> flavors_pb2.Flavor:
        """Make a flavor."""
        return self._call(self._flavors.CreateFlavor, request)

    def describe_flavor(self, name: str, description: str) -> flavors_pb2.Flavor:
        """Change a flavor's description; by resource name, as all below."""
        flavor = flavors_pb2.Flavor(name=name, description=description)
        request = flavors_pb2.UpdateFlavorRequest(flavor=flavor)
        request.update_mask.paths.append("description")
        return self._call(self._flavors.UpdateFlavor, request)

    def delete_flavor(self, name: str) -> None:
        """Forget a flavor."""
        self._call(self._flavors.DeleteFlavor, flavors_pb2.DeleteFlavorRequest(name=name))

    def change_extra_specs(
        self, name: str, add: Mapping[str, str], remove: Sequence[str]
    ) -> flavors_pb2.Flavor:
        """Set and unset extra specs."""
        request = flavors_pb2.ChangeFlavorExtraSpecsRequest(name=name, set=add, unset=remove)
        return self._call(self._flavors.ChangeFlavorExtraSpecs, request)

    def flavor_access(self, name: str) -> list[str]:
        """The projects that may use a flavor."""
        request = flavors_pb2.ListFlavorAccessRequest(name=name)
        return list(self._call(self._flavors.ListFlavorAccess, request).projects)

    def add_flavor_access(self, name: str, project: str) -> list[str]:
        """Let a project use it; all that may."""
        request = flavors_pb2.AddFlavorAccessRequest(name=name, project=f"projects/{project}")
        return list(self._call(self._flavors.AddFlavorAccess, request).projects)

    def remove_flavor_access(self, name: str, project: str) -> list[str]:
        """Let a project use it no more; all that still may."""
        request = flavors_pb2.RemoveFlavorAccessRequest(name=name, project=f"projects/{project}")
        return list(self._call(self._flavors.RemoveFlavorAccess, request).projects)

    # --- key pairs ----------------------------------------------------------------------------

    def create_keypair(
        self, user: str, name: str, public_key: str, request_id: str
    ) -> keypairs_pb2.Keypair:
        """Import a public key."""
        request = keypairs_pb2.CreateKeypairRequest(
            parent=f"users/{user}",
            keypair_id=name,
            keypair=keypairs_pb2.Keypair(public_key=public_key),
            request_id=request_id,
        )
        return self._call(self._keypairs.CreateKeypair, request)

    def get_keypair(self, user: str, name: str) -> keypairs_pb2.Keypair:
        """One key pair."""
        request = keypairs_pb2.GetKeypairRequest(name=f"users/{user}/keypairs/{name}")
        return self._call(self._keypairs.GetKeypair, request)

    def list_keypairs(self, user: str) -> Iterator[keypairs_pb2.Keypair]:
        """A user's key pairs, by name."""

        def page(token: str, size: int) -> tuple[list[keypairs_pb2.Keypair], str]:
            request = keypairs_pb2.ListKeypairsRequest(
                parent=f"users/{user}", page_size=size, page_token=token
            )
            response = self._call(self._keypairs.ListKeypairs, request)
            return list(response.keypairs), response.next_page_token

        return pages(page)

    def delete_keypair(self, user: str, name: str) -> None:
        """Forget a key pair."""
        request = keypairs_pb2.DeleteKeypairRequest(name=f"users/{user}/keypairs/{name}")
        self._call(self._keypairs.DeleteKeypair, request)

    # ------------------------------------------------------------------------------------------

    @property
    def _flavors(self) -> flavors_pb2_grpc.FlavorServiceStub:
        return flavors_pb2_grpc.FlavorServiceStub(self._channel)

    @property
    def _keypairs(self) -> keypairs_pb2_grpc.KeypairServiceStub:
        return keypairs_pb2_grpc.KeypairServiceStub(self._channel)
