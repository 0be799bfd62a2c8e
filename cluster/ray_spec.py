"""What a Ray node is started with. Apart from what starts it, which needs Ray."""

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node of the Ray cluster."""

    address: str
    temp_dir: str
    labels: dict[str, str]
    num_cpus: int
    object_store_bytes: int
    #: The head's ``address:port``; empty for the head itself.
    head: str = ""
    port: int = 0
    #: 0 for no dashboard.
    dashboard_port: int = 0
    #: ``ray up`` lets a process on the head start the other nodes; this is what it reads.
    autoscaling_config: str = ""

    def to_json(self) -> str:
        """As it is passed."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read one."""
        return cls(**json.loads(text))
