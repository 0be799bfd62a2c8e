"""``nova-manage status``: what runs, where, and what it takes."""

from dataclasses import asdict, dataclass, field
from typing import Any

from actors.model.errors import ComputeError
from actors.model.host import HostUsage
from cluster import daemons, ray_cluster
from cluster.config import Settings
from cluster.credentials import Credentials, credentials_file, read_credentials
from cluster.driver import ask
from cluster.memory import pss_mib
from cluster.trouble import Trouble


@dataclass(frozen=True, slots=True)
class Part:
    """An actor, or a process of Ray's."""

    name: str
    node: str
    pid: int
    restarts: int
    state: str
    #: 0.0 for a process of another node.
    pss_mib: float


@dataclass(frozen=True, slots=True)
class Host:
    """A host, as the scheduler has it."""

    name: str
    id: str
    state: str
    trouble: str
    enabled: bool
    instances: int

    @classmethod
    def of(cls, usage: HostUsage) -> "Host":
        """From the scheduler's record."""
        record = usage.record
        return cls(
            record.name, record.id, record.state.value, record.trouble, record.enabled,
            usage.instances,
        )  # fmt: skip


@dataclass(slots=True)
class Status:
    """All of it."""

    trouble: str = ""
    gateway: str = ""
    parts: list[Part] = field(default_factory=list)
    hosts: list[Host] = field(default_factory=list)
    daemons: dict[str, int] = field(default_factory=dict)

    @property
    def pss_mib(self) -> float:
        """Of all processes of this node."""
        return sum(part.pss_mib for part in self.parts)

    @property
    def healthy(self) -> bool:
        """Whether everything works."""
        return (
            not self.trouble
            and self.gateway in ("serves", "another node's")
            and all(part.state == "ALIVE" for part in self.parts)
            and all(host.state == "up" and not host.trouble for host in self.hosts)
        )

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "pss_mib": round(self.pss_mib, 1), "healthy": self.healthy}


def status(settings: Settings) -> Status:
    """Look at everything; what cannot be seen is said, not raised."""
    found = Status()
    found.daemons = {name: one.pid for name, one in daemons.started_by_us(settings).items()}
    actors: list[Part] = []
    try:
        actors, found.hosts = ask(settings, lambda: _from_cluster(settings))
        found.gateway = _gateway(read_credentials(credentials_file(settings)))
    except (Trouble, ComputeError) as error:
        found.trouble = str(error)
    known = {actor.pid for actor in actors if actor.pss_mib}
    ray = [
        Part(process.label, "", process.pid, 0, "ALIVE", pss_mib(process.pid))
        for process in ray_cluster.ray_processes(settings)
        if process.pid not in known
    ]
    found.parts = [*actors, *ray]
    return found


async def _from_cluster(settings: Settings) -> tuple[list[Part], list[Host]]:
    import ray
    from ray._private import state

    from actors.handles.owners import SchedulerHandle
    from cluster.nodes import nodes

    names = {node.id: node.name for node in nodes()}
    here = ray.get_runtime_context().get_node_id()
    parts = [
        Part(
            actor["Name"],
            names.get(actor["Address"]["NodeID"], "?"),
            actor["Pid"],
            actor["NumRestarts"],
            actor["State"],
            pss_mib(actor["Pid"]) if actor["Address"]["NodeID"] == here else 0.0,
        )
        for actor in state.actors().values()
        if actor["Name"] and actor["State"] != "DEAD"
    ]
    hosts = [Host.of(usage) for usage in await SchedulerHandle().hosts()]
    return sorted(parts, key=lambda part: part.name), hosts


def _gateway(credentials: Credentials | None) -> str:
    from cluster.health import is_serving

    if credentials is None:
        return "another node's"
    return is_serving(credentials) or "serves"
