"""``nova-manage up``: this node as the head of a cluster, control plane, gateway and host."""

import asyncio
import os
import secrets
from dataclasses import dataclass, replace
from typing import Final

from cluster import checks, ray_cluster
from cluster.certificates import Certificates, ensure_certificates, server_names
from cluster.config import Settings
from cluster.credentials import Credentials, ensure_admin, ensure_ray_token
from cluster.daemons import ensure_libvirt
from cluster.driver import joined
from cluster.files import read_or_make
from cluster.identity import control_id, host_id, make_folders
from cluster.labels import CONTROL_LABEL, HOST_LABEL, NAME_LABEL, VERSION_LABEL
from cluster.lock import locked
from cluster.member import has_joined
from cluster.names import gateway_name
from cluster.progress import Progress
from cluster.trouble import Trouble

#: A first start on a slow machine; each part usually takes a second or two.
_READY_SECONDS: Final = 90.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What came up."""

    endpoint: str
    dashboard: str
    host: str
    credentials: Credentials
    seconds: float


def up(settings: Settings, progress: Progress, autoscaling_config: str = "") -> Summary:
    """Start what does not run. What runs already stays as it is.

    Args:
        settings: The node's.
        progress: Is told each step.
        autoscaling_config: What ``ray up`` has put on this head, to start other nodes by.

    Raises:
        Trouble: Something is missing or does not start; what was started stays.
    """
    with progress.step("checking this machine") as step:
        checks.require_root(settings)
        make_folders(settings)
        step.says(checks.check_machine(settings))
    if has_joined(settings):
        raise Trouble(
            "This node belongs to another head's cluster.",
            "Run nova-manage host join to start it there, or nova-manage host leave first.",
        )
    with locked(settings.run_dir):
        with progress.step("keys and certificates") as step:
            renewed = _ensure_keys(settings)
            credentials = ensure_admin(settings, _certificates(settings).ca.read_bytes())
            step.says("renewed" if renewed else "there")
        if not settings.is_test:
            with progress.step(f"libvirt at {settings.libvirt_uri}") as step:
                step.says(ensure_libvirt(settings))
        with progress.step(f"Ray head on {settings.ray_address}") as step:
            step.says(_ensure_head(settings, autoscaling_config))
        with joined(settings):
            asyncio.run(_compose(settings, progress, credentials, renewed))
    return Summary(
        endpoint=credentials.endpoint,
        dashboard=f"http://127.0.0.1:{settings.dashboard_port}" if settings.dashboard else "",
        host=settings.node_name,
        credentials=credentials,
        seconds=progress.seconds,
    )


def node_labels(settings: Settings, *, control: bool) -> dict[str, str]:
    """The labels of this node."""
    from importlib.metadata import version

    labels = {
        HOST_LABEL: host_id(settings),
        NAME_LABEL: settings.node_name,
        VERSION_LABEL: version("novaray"),
    }
    return {CONTROL_LABEL: control_id(settings), **labels} if control else labels


def _certificates(settings: Settings) -> Certificates:
    return Certificates(settings.state_dir / "pki")


def _ensure_keys(settings: Settings) -> bool:
    ensure_ray_token(settings)
    files = _certificates(settings)
    read_or_make(files.folder / "gateway-secret", f"{secrets.token_hex(32)}\n")
    os.chmod(files.folder, 0o700)
    listens = settings.listen.rpartition(":")[0].strip("[]")
    names = server_names(settings.node_address, settings.host_name)
    return ensure_certificates(files.folder, tuple(dict.fromkeys((*names, *server_names(listens)))))


def _ensure_head(settings: Settings, autoscaling_config: str) -> str:
    found = ray_cluster.ray_processes(settings)
    if ray_cluster.runs(found, head=True):
        return "runs already"
    if found:
        ray_cluster.end_node(settings)
    checks.check_ports(settings)
    ray_cluster.remove_old_sessions(settings)
    spec = ray_cluster.node_spec(settings, node_labels(settings, control=True))
    ray_cluster.start_node(settings, replace(spec, autoscaling_config=autoscaling_config))
    return "started" if not found else "started again"


async def _compose(
    settings: Settings, progress: Progress, credentials: Credentials, renewed: bool
) -> None:
    # Ray reads its environment when it is imported, so this comes after joining.
    from actors.handles.conductor import ConductorHandle
    from cluster import bootstrap, spawn
    from cluster.gateway import GatewaySettings

    logs = ray_cluster.logs_dir(settings)
    host = host_id(settings)
    files = _certificates(settings)
    gateway = GatewaySettings(
        node=settings.node_name,
        listen=settings.listen,
        partitions=settings.partitions,
        certificate=files.server,
        key=files.server_key,
        secret=files.folder / "gateway-secret",
        force_config_drive=settings.force_config_drive,
    )
    with progress.step("control plane"):
        spawn.spawn_control(settings, control_id(settings))
        spawn.spawn_host(settings, host, settings.node_name, settings.partitions)
        if renewed:
            await asyncio.to_thread(spawn.end_actor, gateway_name(settings.node_name))
        spawn.spawn_gateway(gateway, host)
        await bootstrap.eventually(
            ConductorHandle().partitions, _READY_SECONDS, "The conductor", logs
        )
    with progress.step("flavors, network, administrator"):
        await bootstrap.eventually(
            lambda: bootstrap.ensure_catalog(settings), _READY_SECONDS, "The network actor", logs
        )
        await bootstrap.ensure_token(credentials)
    with progress.step(f"host {settings.node_name}") as step:
        usage = await bootstrap.eventually(
            lambda: bootstrap.host_is_up(host), _READY_SECONDS, "The host", logs
        )
        step.says(f"up ({usage.record.hypervisor}, {usage.record.virt_type})")
    with progress.step(f"gateway on {settings.listen}") as step:
        from cluster.health import wait_until_serving

        await asyncio.to_thread(wait_until_serving, credentials, _READY_SECONDS, logs)
        step.says("serves")
