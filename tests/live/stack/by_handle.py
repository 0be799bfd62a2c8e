"""Stops an instance as a Python program on the cluster does: ``python -m … INSTANCE``.

Its environment is what ``nova-manage env`` prints.
"""

import asyncio
import logging
import sys

import ray

from actors.model.operation import OperationState
from cluster.connect import connect


async def stop(instance: str) -> OperationState:
    """Stop it, and wait for the end of it."""
    cluster = await connect()
    operation = await cluster.instance(instance).stop()
    return (await operation.wait()).state


if __name__ == "__main__":
    ray.init(namespace="novaray", log_to_driver=False, logging_level=logging.ERROR)
    sys.stdout.write(asyncio.run(stop(sys.argv[1])))
