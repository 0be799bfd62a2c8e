"""``nova-manage host join`` and ``leave``: this node as a host of another head's cluster."""

import asyncio
from importlib.metadata import version
from pathlib import Path
from typing import Final

from actors.model.ids import HostId
from cluster import checks, ray_cluster
from cluster.config import Settings
from cluster.daemons import ensure_libvirt
from cluster.driver import joined
from cluster.files import write_private
from cluster.identity import host_id, make_folders
from cluster.lock import locked
from cluster.member import facing, forget_head, is_head, remember_head
from cluster.processes import can_connect
from cluster.progress import Progress
from cluster.trouble import Trouble
from cluster.up import node_labels

_READY_SECONDS: Final = 90.0
_TOKEN_LENGTH: Final = 32


def join(settings: Settings, head: str, token_file: Path | None, progress: Progress) -> None:
    """Make this node a host of the cluster; once more is no error.

    Raises:
        Trouble: The head does not answer or has another version, or the host does not come up.
    """
    settings = facing(settings, head)
    with progress.step("checking this machine") as step:
        checks.require_root(settings)
        _refuse_head(settings)
        make_folders(settings)
        if why := can_connect(head):
            raise Trouble(f"The head at {head} does not answer: {why}.", "Is the address right?")
        step.says(checks.check_machine(settings))
    with locked(settings.run_dir):
        _take_token(settings, token_file)
        if not settings.is_test:
            with progress.step(f"libvirt at {settings.libvirt_uri}") as step:
                step.says(ensure_libvirt(settings))
        with progress.step(f"Ray node {settings.node_address}, head {head}") as step:
            step.says(_ensure_node(settings, head))
        try:
            with joined(settings, head):
                _compare_versions(settings)
                with progress.step(f"host {settings.node_name}") as step:
                    asyncio.run(_compose(settings))
                    step.says("up")
        except Trouble as trouble:
            if trouble.undo:
                ray_cluster.end_node(settings)
                forget_head(settings)
            raise


def leave(settings: Settings, progress: Progress) -> None:
    """End this node's part. Its guests run on, and are found again when it joins again.

    Raises:
        Trouble: It is the head, or something does not end.
    """
    _refuse_head(settings)
    with locked(settings.run_dir):
        found = ray_cluster.ray_processes(settings)
        if ray_cluster.runs(found, head=False):
            with progress.step(f"host {settings.node_name}") as step:
                step.says(_end_host(settings))
        with progress.step("Ray") as step:
            step.says(f"{ray_cluster.end_node(settings)} processes ended")
        forget_head(settings)


def _refuse_head(settings: Settings) -> None:
    if is_head(settings):
        raise Trouble(
            "This node keeps a cluster's record itself.",
            "It joins and leaves no other: use nova-manage up and nova-manage down.",
        )


def _take_token(settings: Settings, token_file: Path | None) -> None:
    if token_file is None:
        if not settings.ray_token_file.exists():
            raise Trouble(
                "The cluster's Ray token is not known here.",
                "Copy ~/.config/novaray/ray-token from the head, and name it with --token-file.",
            )
        return
    try:
        token = token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Trouble(f"The token file {token_file} cannot be read: {error}.") from None
    if len(token) < _TOKEN_LENGTH or not token.isalnum():
        raise Trouble(
            f"{token_file} holds no Ray token.", "It is ~/.config/novaray/ray-token on the head."
        )
    write_private(settings.ray_token_file, f"{token}\n")


def _ensure_node(settings: Settings, head: str) -> str:
    found = ray_cluster.ray_processes(settings)
    if ray_cluster.runs(found, head=False):
        return "runs already"
    if found:
        ray_cluster.end_node(settings)
    ray_cluster.remove_old_sessions(settings)
    ray_cluster.start_node(
        settings, ray_cluster.node_spec(settings, node_labels(settings, control=False), head)
    )
    remember_head(settings, head)
    return "started"


def _compare_versions(settings: Settings) -> None:
    from cluster.nodes import nodes

    ours = version("novaray")
    for node in nodes():
        if node.alive and node.version != ours:
            raise Trouble(
                f"Node {node.name} has novaray {node.version or 'unknown'},"
                f" this one ({settings.node_name}) {ours}.",
                "Install the same version on both.",
                undo=True,
            )


async def _compose(settings: Settings) -> None:
    from actors.handles.conductor import ConductorHandle
    from actors.handles.owners import SchedulerHandle
    from cluster import bootstrap, spawn

    logs = ray_cluster.logs_dir(settings)
    host = host_id(settings)
    hosts = await bootstrap.eventually(
        SchedulerHandle().hosts, _READY_SECONDS, "The scheduler", logs
    )
    for usage in hosts:
        if usage.record.name == settings.node_name and usage.record.id != host:
            raise Trouble(
                f"The cluster has another host named {settings.node_name}.",
                "Give this one another name (NOVARAY_HOST_NAME).",
                undo=True,
            )
    partitions = await ConductorHandle().partitions()
    spawn.spawn_host(settings, host, settings.node_name, partitions)
    await bootstrap.eventually(lambda: bootstrap.host_is_up(host), _READY_SECONDS, "The host", logs)


def _end_host(settings: Settings) -> str:
    host = host_id(settings)
    try:
        with joined(settings):
            return asyncio.run(_end_host_actor(host))
    except Trouble as trouble:
        # The head may be gone for good; this node leaves all the same.
        return f"not told to the head: {trouble.message}"


async def _end_host_actor(host: HostId) -> str:
    from actors.handles.remote import host_name
    from cluster import spawn

    ended = await asyncio.to_thread(spawn.end_actor, host_name(host))
    return "ended" if ended else "was not there"
