"""Nodes of the Ray cluster, as the head knows them."""

from dataclasses import dataclass
from typing import Any

from cluster.labels import NAME_LABEL, VERSION_LABEL


@dataclass(frozen=True, slots=True)
class Node:
    """One node."""

    id: str
    name: str
    version: str
    alive: bool


def nodes() -> tuple[Node, ...]:
    """All nodes, those that have gone too."""
    import ray

    table: Any = ray.nodes  # without types
    return tuple(
        Node(
            node["NodeID"],
            node["Labels"].get(NAME_LABEL, "?"),
            node["Labels"].get(VERSION_LABEL, ""),
            node["Alive"],
        )
        for node in table()
    )
