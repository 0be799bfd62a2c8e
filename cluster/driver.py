"""This process as a part of the Ray cluster, for as long as a command needs it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cluster.config import Settings
from cluster.ray_environment import apply_ray_environment
from cluster.trouble import Trouble

_NOT_REACHED: Final = "The Ray cluster at {} does not answer."


@contextmanager
def joined(settings: Settings, address: str = "") -> Iterator[None]:
    """Be a driver of the cluster.

    Raises:
        Trouble: There is none, or its token is another.
    """
    apply_ray_environment(settings)
    # Ray reads its environment when it is imported.
    import ray

    from actors.handles.remote import NAMESPACE

    address = address or settings.ray_address
    try:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address=settings.node_address,
        )
    except Exception as error:
        raise Trouble(
            f"{_NOT_REACHED.format(address)} {_first_line(error)}",
            "Start the cluster with nova-manage up.",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
