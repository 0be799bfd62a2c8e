"""Starts the Ray processes of this node: ``python -m cluster.ray_node SPEC`` (JSON), then ends.

Does what ``ray start`` does, without the processes we have no use for (Ray client, autoscaler, log
monitor, half of the dashboard), which together cost as much memory as four of our actors.
``ray start`` cannot leave them out, so this stands on Ray's own classes, of one pinned version.
"""

import sys
import traceback
from threading import Thread
from typing import Any, Final

from ray._private import ray_constants, services
from ray._private.node import Node
from ray._private.parameter import RayParams

from cluster.labels import NAME_LABEL
from cluster.ray_spec import NodeSpec

#: What the dashboard shows of nodes, actors, logs and metrics. Not: Data, Serve, Train.
DASHBOARD_MODULES: Final = (
    "EventHead",
    "JobHead",
    "MetricsHead",
    "NodeHead",
    "ReportHead",
    "StateHead",
    "UsageStatsHead",
)


class _Node(Node):
    """Ray's node with our choice of dashboard."""

    #: None where there is no dashboard.
    dashboard: Thread | None = None

    def start_api_server(self, *, include_dashboard: bool | None, raise_on_failure: bool) -> None:
        """As Ray's, but the raylet starts meanwhile. Without a dashboard no process at all."""
        self._webui_url = ""
        if include_dashboard:
            self.dashboard = Thread(target=self._start_dashboard)
            self.dashboard.start()

    def _start_dashboard(self) -> None:
        try:
            super().start_api_server(include_dashboard=True, raise_on_failure=True)
        except Exception:  # noqa: BLE001 - a cluster without a dashboard is a cluster
            traceback.print_exc()


def _with_fewer_modules(start: Any) -> Any:  # noqa: ANN401 - Ray's own function
    def start_process(
        command: list[str],
        process_type: str,
        *args: Any,  # noqa: ANN401
        **more: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        if process_type == ray_constants.PROCESS_TYPE_DASHBOARD:
            command = [*command, f"--modules-to-load={','.join(DASHBOARD_MODULES)}"]
        return start(command, process_type, *args, **more)

    return start_process


def start(spec: NodeSpec) -> None:
    """Start the node's processes. They outlive this one."""
    services.start_ray_process = _with_fewer_modules(services.start_ray_process)
    head = not spec.head
    parameters: Any = RayParams  # its annotations do not say what it takes
    chosen = parameters(
        node_ip_address=spec.address,
        node_name=spec.labels.get(NAME_LABEL) or spec.address,
        gcs_server_port=spec.port if head else None,
        gcs_address=spec.head or None,
        num_cpus=spec.num_cpus,
        object_store_memory=spec.object_store_bytes,
        labels=spec.labels,
        temp_dir=spec.temp_dir,
        include_dashboard=bool(spec.dashboard_port),
        dashboard_host="127.0.0.1",
        dashboard_port=spec.dashboard_port or None,
        include_log_monitor=False,
        no_monitor=not spec.autoscaling_config,
        autoscaling_config=spec.autoscaling_config or None,
        ray_client_server_port=None,
        # Any: several nodes may share a machine, and a taken port costs seconds of retries.
        dashboard_agent_listen_port=0,
    )
    node = _Node(chosen, head=head, shutdown_at_exit=False, spawn_reaper=False)
    if node.dashboard is not None:
        node.dashboard.join()


def main() -> None:
    """Start what the only argument describes."""
    start(NodeSpec.from_json(sys.argv[1]))


if __name__ == "__main__":
    main()
