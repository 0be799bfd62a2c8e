"""Flavors: the sizes an instance can have (Nova: ``/flavors``)."""

from pydantic import Field

from actors.model.base import StoredRecord
from actors.model.ids import FlavorId, ProjectId, RequestId


class Resources(StoredRecord):
    """What an instance takes from a host: vCPUs, MiB of memory, GiB of disk."""

    vcpus: int = Field(ge=0)
    memory_mb: int = Field(ge=0)
    disk_gb: int = Field(ge=0)


class Size(StoredRecord):
    """What of an instance's resources can change while its guest runs."""

    vcpus: int = Field(ge=1)
    memory_mb: int = Field(ge=1)


class Flavor(StoredRecord):
    """A size.

    An instance carries a copy of its own (Nova microversion 2.47): later edits do not reach it.
    """

    id: FlavorId
    name: str
    vcpus: int = Field(ge=1)
    memory_mb: int = Field(ge=1)
    disk_gb: int = Field(ge=0)
    ephemeral_gb: int = Field(default=0, ge=0)
    swap_mb: int = Field(default=0, ge=0)
    rxtx_factor: float = Field(default=1.0, gt=0)
    is_public: bool = True
    description: str = ""
    #: What it says beyond its numbers (``model.extra_specs``).
    extra_specs: dict[str, str] = Field(default_factory=dict)
    #: Who may use it where it is not public. Not in an instance's copy.
    projects: tuple[ProjectId, ...] = ()
    #: The create that made it: the same one again is answered with it. Not in an instance's copy.
    request_id: RequestId | None = None
    generation: int = 1

    def __hash__(self) -> int:
        """Of what names it: ``extra_specs`` has no hash."""
        return hash((self.id, self.name, self.generation))

    @property
    def size(self) -> Size:
        """What a guest of it begins with."""
        return Size(vcpus=self.vcpus, memory_mb=self.memory_mb)

    @property
    def resources(self) -> Resources:
        """What a host must have free.

        A disk of 0 GiB is as large as its image, counted by the image. Swap counts in whole GiB, as
        in Nova (``compute_utils.convert_mb_to_ceil_gb``).
        """
        return Resources(
            vcpus=self.vcpus,
            memory_mb=self.memory_mb,
            disk_gb=self.disk_gb + self.ephemeral_gb + -(-self.swap_mb // 1024),
        )

    def resources_for(self, *, root_is_volume: bool) -> Resources:
        """What a host must have free for an instance of its own disk, or of one that is a volume.

        A volume is none of the flavor's disk: Nova counts 0 GiB for it
        (``scheduler/utils.py``: ``ResourceRequest``, ``is_bfv``).
        """
        needed = self.resources
        if not root_is_volume:
            return needed
        return needed.evolve(disk_gb=needed.disk_gb - self.disk_gb)

    def for_instance(self) -> "Flavor":
        """The copy an instance carries: whose the flavor is says nothing about the instance."""
        return self.evolve(projects=(), request_id=None)


def _flavor(number: str, name: str, memory_mb: int, disk_gb: int, vcpus: int) -> Flavor:
    return Flavor(id=FlavorId(number), name=name, vcpus=vcpus, memory_mb=memory_mb, disk_gb=disk_gb)


#: The table of the walkthrough (``nova flavor-list``), registered when a cluster is made.
DEFAULT_FLAVORS = (
    _flavor("1", "m1.tiny", 512, 1, 1),
    _flavor("2", "m1.small", 2048, 20, 1),
    _flavor("3", "m1.medium", 4096, 40, 2),
    _flavor("4", "m1.large", 8192, 80, 4),
    _flavor("42", "m1.nano", 64, 0, 1),
    _flavor("5", "m1.xlarge", 16384, 160, 8),
    _flavor("84", "m1.micro", 128, 0, 1),
)
