"""What the gateway asks of the conductor about flavors. Everything is checked here, at the border.

The limits are Nova's (``nova/api/openstack/compute/schemas/flavors.py``).
"""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from actors.model.base import Record
from actors.model.errors import Conflict
from actors.model.extra_specs import check_ceilings, check_extra_specs
from actors.model.flavor import Flavor
from actors.model.ids import FlavorId, ProjectId, RequestId
from actors.model.labels import InstanceName

#: Nova: ``db_const.MAX_INT``.
NUMBER_LIMIT: Final = 2**31 - 1
DESCRIPTION_LIMIT: Final = 65_535
#: The largest single-precision number: Nova's column (``db_const.SQL_SP_FLOAT_MAX``).
FACTOR_LIMIT: Final = 3.40282e38

#: Nova takes spaces as well, which a resource name cannot have.
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


def _id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError("must have 1 to 255 letters, digits or any of . _ -, the first no sign")
    return value


def _text(value: str) -> str:
    if not all(part.isprintable() for part in value.split("\n")):
        raise ValueError("must have printable characters only")
    return value


Description = Annotated[str, Field(max_length=DESCRIPTION_LIMIT), AfterValidator(_text)]
Amount = Annotated[int, Field(ge=0, le=NUMBER_LIMIT)]
AtLeastOne = Annotated[int, Field(ge=1, le=NUMBER_LIMIT)]


class CreateFlavor(Record):
    """Make a size known."""

    id: Annotated[str, AfterValidator(_id)]
    name: InstanceName
    memory_mb: AtLeastOne
    vcpus: AtLeastOne
    disk_gb: Amount
    ephemeral_gb: Amount = 0
    swap_mb: Amount = 0
    rxtx_factor: float = Field(default=1.0, gt=0, le=FACTOR_LIMIT)
    is_public: bool = True
    description: Description = ""
    extra_specs: dict[str, str] = Field(default_factory=dict)
    request_id: RequestId

    @property
    def flavor(self) -> Flavor:
        """The flavor it makes."""
        return Flavor(**self.model_dump())


class ChangeFlavor(Record):
    """Change what of a flavor can be changed. What is so already is no error."""

    id: FlavorId
    #: None leaves it.
    description: Description | None = None
    set_specs: dict[str, str] = Field(default_factory=dict)
    unset_specs: tuple[str, ...] = ()
    add_project: ProjectId | None = None
    remove_project: ProjectId | None = None


def changed(flavor: Flavor, command: ChangeFlavor) -> Flavor:
    """The flavor after the command.

    Raises:
        Invalid: ``EXTRA_SPEC_INVALID``: the extra specs do not go together.
        Conflict: ``FLAVOR_PUBLIC``: access to a public flavor was to be changed.
    """
    if flavor.is_public and (command.add_project or command.remove_project):
        raise Conflict(
            f"Flavor {flavor.id} ({flavor.name}) is public: every project may use it.",
            "FLAVOR_PUBLIC",
            "",
            {"flavor": flavor.id},
        )
    specs = {**flavor.extra_specs, **command.set_specs}
    for key in command.unset_specs:
        specs.pop(key, None)
    if specs != flavor.extra_specs:
        check_extra_specs(specs)
        check_ceilings(specs, flavor.memory_mb, flavor.vcpus)
    projects = {*flavor.projects, *filter(None, (command.add_project,))}
    projects.discard(command.remove_project or ProjectId(""))
    description = flavor.description if command.description is None else command.description
    return flavor.evolve(
        description=description, extra_specs=specs, projects=tuple(sorted(projects))
    )
