"""KeypairService."""

from google.protobuf.empty_pb2 import Empty

from gateway.app.instances import request_id_of
from gateway.app.keypairs import KeypairCases
from gateway.app.pages import PageRequest
from gateway.rpc.call import Context, caller, request_id_or_own
from gateway.rpc.names import keypair_of, user_of
from gateway.rpc.replies import fitting
from gateway.rpc.translate.catalog import keypair_message
from protos.novaray.v1 import keypairs_pb2 as pb
from protos.novaray.v1 import keypairs_pb2_grpc


class KeypairsService(keypairs_pb2_grpc.KeypairServiceServicer):
    """The public halves of users' SSH keys."""

    def __init__(self, keypairs: KeypairCases) -> None:
        self._keypairs = keypairs

    async def CreateKeypair(self, request: pb.CreateKeypairRequest, context: Context) -> pb.Keypair:
        """Import a public key (AIP-133)."""
        keypair = await self._keypairs.create(
            caller(),
            user_of(request.parent),
            request.keypair_id,
            request.keypair.public_key,
            request_id_of(request_id_or_own(request.request_id)),
        )
        return keypair_message(keypair)

    async def GetKeypair(self, request: pb.GetKeypairRequest, context: Context) -> pb.Keypair:
        """One key pair (AIP-131)."""
        return keypair_message(await self._keypairs.get(caller(), *keypair_of(request.name)))

    async def ListKeypairs(
        self, request: pb.ListKeypairsRequest, context: Context
    ) -> pb.ListKeypairsResponse:
        """A user's key pairs (AIP-132)."""
        page = PageRequest(request.page_size, request.page_token)
        listed = await self._keypairs.list(caller(), user_of(request.parent), page)
        messages, token = fitting(listed, keypair_message)
        return pb.ListKeypairsResponse(keypairs=messages, next_page_token=token)

    async def DeleteKeypair(self, request: pb.DeleteKeypairRequest, context: Context) -> Empty:
        """Forget a key pair (AIP-135)."""
        await self._keypairs.delete(caller(), *keypair_of(request.name))
        return Empty()
