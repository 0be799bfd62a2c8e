"""The environment of Ray's processes: what Ray takes from nowhere else.

To be applied before ``ray`` is imported. Each line's reason stands beside it;
``docs/operating.md`` says what they mean for an operator.
"""

import os
from ipaddress import ip_address
from typing import Final

from cluster.config import Settings

_FIXED: Final = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A hypervisor's memory is nearly always full: of guests, which are none of Ray's business.
    "RAY_memory_monitor_refresh_ms": "0",
    # While the head is away hosts go on as they are; Ray's default kills their actors after 60 s.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "86400",
    # A dead raylet refuses connections: four tries find that in 2 s. A slow one has 10 s for each.
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "10000",
    "RAY_health_check_failure_threshold": "4",
    # A call under way when its actor dies hears of it in 0.1 s, not in 1.6: both are needed.
    "RAY_timeout_ms_task_wait_for_death_info": "50",
    "RAY_core_worker_internal_heartbeat_ms": "100",
    # Every process is an actor of ours: none is kept ready for tasks, which we have none of.
    "RAY_enable_worker_prestart": "0",
    "RAY_num_workers_soft_limit": "0",
    # Ray makes its workers nicer than all else (15): beside busy guests ours would starve.
    "RAY_worker_niceness": "0",
    # Logs lie in memory on most machines (/run).
    "RAY_ROTATION_MAX_BYTES": str(16 << 20),
    "RAY_ROTATION_BACKUP_COUNT": "2",
    # Each thread's own heap costs more than it gives.
    "MALLOC_ARENA_MAX": "2",
    # Our actors start processes; gRPC must not stand in the way of that.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
    # Colours in files are noise.
    "RAY_COLOR_PREFIX": "0",
}


def ray_environment(settings: Settings, head: str = "") -> dict[str, str]:
    """What to add to the environment; ``head`` is its address where this node is not the head."""
    environment = {
        **_FIXED,
        "RAY_ADDRESS": head or settings.ray_address,
        "RAY_AUTH_TOKEN_PATH": str(settings.ray_token_file),
    }
    if ip_address(settings.node_address).is_loopback:
        # Ray takes a loopback address for a mistake, and replaces it by another of the machine's,
        # on which nothing listens; but not where it believes to be on a system without clusters.
        environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    return environment


def apply_ray_environment(settings: Settings, head: str) -> None:
    """Make it this process's own."""
    os.environ.pop("RAY_AUTH_TOKEN", None)
    os.environ.update(ray_environment(settings, head))
