"""Gives a project a network between hosts: ``python -m … PROJECT NETWORK VNI``.

Its environment is what ``nova-manage env`` prints.
"""

import asyncio
import logging
import sys
from datetime import UTC, datetime
from ipaddress import IPv4Network

import ray

from actors.handles.owners import NetworkHandle
from actors.model.flat_network import default_network
from actors.model.ids import NetworkId, ProjectId
from actors.model.network import NetworkKind


async def ensure(project: str, network: str, vni: int) -> None:
    """Make it unless it is there."""
    # Any range will do, also that of the network which the cluster begins with.
    plain = default_network(
        NetworkId(network), datetime.now(UTC), IPv4Network("10.0.0.0/24"), mtu=1450
    )
    await NetworkHandle().ensure_network(
        plain.evolve(
            label=f"between-{project}",
            project=ProjectId(project),
            shared=False,
            kind=NetworkKind.VXLAN,
            vni=vni,
        )
    )


if __name__ == "__main__":
    ray.init(namespace="novaray", log_to_driver=False, logging_level=logging.ERROR)
    asyncio.run(ensure(sys.argv[1], sys.argv[2], int(sys.argv[3])))
