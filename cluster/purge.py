"""``nova-manage down --purge``: everything that was made on this node goes."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.model.errors import ComputeError
from actors.model.ids import InstanceId
from cluster import daemons, ray_cluster
from cluster.config import Settings
from cluster.credentials import credentials_file
from cluster.down import down
from cluster.progress import Progress
from cluster.trouble import Trouble

#: What novaray puts into its folders. Only that is removed: a folder may be set by mistake.
_STATE: Final = (
    "cache", "control-uuid", "guest-secret", "head-address", "host-uuid", "images", "instances",
    "network", "node.xml*", "novaray.sqlite*", "pki", "volumes",
)  # fmt: skip
_RUN: Final = ("*.log", "*.pid", "nova-manage.lock", "ray")


@dataclass(frozen=True, slots=True)
class Purge:
    """What there is to remove."""

    guests: tuple[InstanceId, ...]
    networks: tuple[Path, ...]
    processes: int
    daemons: tuple[str, ...]
    paths: tuple[Path, ...]
    #: Why guests cannot be seen; empty when they can.
    blind: str = ""

    def lines(self) -> Iterator[str]:
        """One line for each thing."""
        yield from (f"guest     {guest}" for guest in self.guests)
        yield from (f"network   {folder.name}" for folder in self.networks)
        if self.processes:
            yield f"processes {self.processes} of Ray, actors included"
        yield from (f"daemon    {name}, started by nova-manage" for name in self.daemons)
        yield from (f"path      {path}" for path in self.paths)


def plan(settings: Settings) -> Purge:
    """Look, and change nothing."""
    guests: tuple[InstanceId, ...] = ()
    blind = ""
    if not settings.is_test and (settings.state_dir / "instances").exists():
        try:
            with _hypervisor(settings) as (listed, _):
                guests = listed()
        except ComputeError as error:
            blind = str(error)
    return Purge(
        guests=guests,
        networks=tuple(sorted(settings.state_dir.glob("network/*/"))),
        processes=len(ray_cluster.ray_processes(settings)),
        daemons=tuple(daemons.started_by_us(settings)),
        paths=tuple(_paths(settings)),
        blind=blind,
    )


def purge(settings: Settings, progress: Progress) -> None:
    """Remove it all.

    Raises:
        Trouble: Guests may be left because libvirt does not answer, or something does not end.
    """
    down(settings, progress)
    todo = plan(settings)
    if todo.blind:
        raise Trouble(
            f"libvirt does not answer, so guests may be left: {todo.blind}",
            "Start libvirtd and try again; or remove what is left by hand.",
        )
    if todo.guests:
        with progress.step(f"{len(todo.guests)} guests"), _hypervisor(settings) as (_, remove):
            for guest in todo.guests:
                remove(guest)
    if todo.networks:
        with progress.step(f"{len(todo.networks)} networks"):
            _take_down_networks(settings, todo.networks)
    if todo.daemons:
        with progress.step(" and ".join(todo.daemons)):
            daemons.stop_ours(settings)
    with progress.step("files"):
        for path in _paths(settings):
            _remove(path)
        for folder in (settings.state_dir, settings.run_dir, settings.config_dir):
            with suppress(OSError):  # not empty: what is left is not ours
                folder.rmdir()


@contextmanager
def _hypervisor(
    settings: Settings,
) -> Iterator[tuple[Callable[[], tuple[InstanceId, ...]], Callable[[InstanceId], None]]]:
    from cluster.hypervisor import make_hypervisor

    hypervisor = make_hypervisor(settings)
    hypervisor.open(lambda *_: None, lambda *_: None)
    try:
        yield (
            lambda: tuple(guest.instance for guest in hypervisor.guests()),
            hypervisor.ensure_absent,
        )
    finally:
        hypervisor.close()


def _take_down_networks(settings: Settings, folders: tuple[Path, ...]) -> None:
    from actors.hostnet.dnsmasq import Dnsmasq
    from actors.hostnet.links import Links
    from actors.hostnet.site import Site
    from actors.hostnet.wiring import Wiring
    from actors.model.network import Network

    links = Links()
    try:
        wiring = Wiring(links, settings.network_uplink or None, settings.tunnel)
        for folder in folders:
            site = Site.load(folder, wiring)
            if site is None:
                continue
            network = Network.model_validate_json((folder / "network.json").read_text())
            for lease in Dnsmasq(folder, network).leases():
                site.dismiss(lease.instance)
            site.converge(0)
            site.close()
    finally:
        links.close()


def _paths(settings: Settings) -> Iterator[Path]:
    credentials = credentials_file(settings)
    for folder, names in (
        (settings.state_dir, _STATE),
        (settings.run_dir, _RUN),
        (settings.config_dir, ("ray-token",)),
        (credentials.parent, (credentials.name, "ca.pem")),
    ):
        for name in names:
            yield from sorted(folder.glob(name))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
