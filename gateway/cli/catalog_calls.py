"""Calls about flavors and key pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.calls import Calls, pages
from protos.novaray.v1 import flavors_pb2, flavors_pb2_grpc, keypairs_pb2, keypairs_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator


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
