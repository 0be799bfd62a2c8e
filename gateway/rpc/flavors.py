"""FlavorService."""

from google.protobuf.empty_pb2 import Empty

from gateway.app.catalog import CatalogCases
from gateway.app.flavors import FlavorCases, NewFlavor
from gateway.app.instances import request_id_of
from gateway.app.pages import PageRequest
from gateway.rpc.call import Context, caller, request_id_or_own
from gateway.rpc.names import flavor_of, project_of
from gateway.rpc.replies import fitting
from gateway.rpc.translate.catalog import flavor_message
from protos.novaray.v1 import flavors_pb2 as pb
from protos.novaray.v1 import flavors_pb2_grpc


class FlavorsService(flavors_pb2_grpc.FlavorServiceServicer):
    """The sizes an instance can have."""

    def __init__(self, catalog: CatalogCases, flavors: FlavorCases) -> None:
        self._catalog = catalog
        self._flavors = flavors

    async def GetFlavor(self, request: pb.GetFlavorRequest, context: Context) -> pb.Flavor:
        """One flavor (AIP-131)."""
        return flavor_message(await self._catalog.flavor(caller(), flavor_of(request.name)))

    async def ListFlavors(
        self, request: pb.ListFlavorsRequest, context: Context
    ) -> pb.ListFlavorsResponse:
        """All flavors (AIP-132)."""
        page = PageRequest(request.page_size, request.page_token)
        messages, token = fitting(await self._catalog.flavors(caller(), page), flavor_message)
        return pb.ListFlavorsResponse(flavors=messages, next_page_token=token)

    async def CreateFlavor(self, request: pb.CreateFlavorRequest, context: Context) -> pb.Flavor:
        """Make a size known (AIP-133)."""
        given = request.flavor
        new = NewFlavor(
            name=given.display_name,
            memory_mb=given.memory_mb,
            vcpus=given.vcpus,
            disk_gb=given.disk_gb,
            request_id=request_id_of(request_id_or_own(request.request_id)),
            id=request.flavor_id,
            ephemeral_gb=given.ephemeral_gb,
            swap_mb=given.swap_mb,
            rxtx_factor=given.rxtx_factor or 1.0,
            is_public=given.public,
            description=given.description,
            extra_specs=dict(given.extra_specs),
        )
        return flavor_message(await self._flavors.create(caller(), new))

    async def UpdateFlavor(self, request: pb.UpdateFlavorRequest, context: Context) -> pb.Flavor:
        """Change the description (AIP-134)."""
        flavor = flavor_of(request.flavor.name, "flavor.name")
        changed = await self._flavors.describe(
            caller(), flavor, request.flavor.description, tuple(request.update_mask.paths)
        )
        return flavor_message(changed)

    async def ChangeFlavorExtraSpecs(
        self, request: pb.ChangeFlavorExtraSpecsRequest, context: Context
    ) -> pb.Flavor:
        """Set and unset extra specs (AIP-136)."""
        changed = await self._flavors.specify(
            caller(), flavor_of(request.name), dict(request.set), tuple(request.unset)
        )
        return flavor_message(changed)

    async def DeleteFlavor(self, request: pb.DeleteFlavorRequest, context: Context) -> Empty:
        """Forget a flavor (AIP-135)."""
        await self._flavors.delete(caller(), flavor_of(request.name))
        return Empty()

    async def ListFlavorAccess(
        self, request: pb.ListFlavorAccessRequest, context: Context
    ) -> pb.ListFlavorAccessResponse:
        """The projects that may use it."""
        return _access(await self._flavors.projects(caller(), flavor_of(request.name)))

    async def AddFlavorAccess(
        self, request: pb.AddFlavorAccessRequest, context: Context
    ) -> pb.ListFlavorAccessResponse:
        """Let a project use it (AIP-136)."""
        flavor, project = flavor_of(request.name), project_of(request.project, "project")
        return _access(await self._flavors.give(caller(), flavor, project))

    async def RemoveFlavorAccess(
        self, request: pb.RemoveFlavorAccessRequest, context: Context
    ) -> pb.ListFlavorAccessResponse:
        """Take that away (AIP-136)."""
        flavor, project = flavor_of(request.name), project_of(request.project, "project")
        return _access(await self._flavors.take(caller(), flavor, project))


def _access(projects: tuple[str, ...]) -> pb.ListFlavorAccessResponse:
    return pb.ListFlavorAccessResponse(projects=[f"projects/{project}" for project in projects])
