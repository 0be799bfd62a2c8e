"""What an instance's operation says of a volume."""

from dataclasses import dataclass

from actors.model.ids import HostId, InstanceId, ProjectId, VolumeId


@dataclass(frozen=True, slots=True)
class Hold:
    """An instance's operation speaks for a volume.

    Converging: asked again, the same. A word of an older operation, or of an older attempt, than
    the last that spoke for the instance changes nothing.
    """

    volume: VolumeId
    instance: InstanceId
    sequence: int
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Moved:
    """The instance is on another host now, and takes a volume along that all hosts have."""

    hold: Hold
    host_id: HostId
    host: str


@dataclass(frozen=True, slots=True)
class Reserve:
    """Keep a volume for an instance, on the instance's host."""

    hold: Hold
    project: ProjectId
    host_id: HostId
    host: str
