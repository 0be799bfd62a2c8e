"""Making a set of test hosts, and removing one without a trace."""

import contextlib
import dataclasses
import logging
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.testhosts import config, network, plan, preflight, processes
from tools.testhosts.control import Answer
from tools.testhosts.errors import HostsError
from tools.testhosts.holder import Hello, Spec
from tools.testhosts.plan import Host, HostSet, Process
from tools.testhosts.registry import Registry
from tools.testhosts.starting import Starting

_log = logging.getLogger(__name__)

#: The longest path that fits a UNIX socket's address.
_LONGEST_SOCKET: Final = 107
#: libvirt's own definitions of packet filters, which a host may change.
_NWFILTERS: Final = Path("/etc/libvirt/nwfilter")


@dataclass(frozen=True, slots=True)
class Wish:
    """What set is wanted; None: chosen by the tool."""

    count: int = 2
    name: str | None = None
    subnet: str | None = None
    #: Where the set's folder is made.
    state: Path | None = None
    libvirtd: bool = True
    private_pids: bool = False
    owner: Process | None = None


def up(wish: Wish, registry: Registry) -> HostSet:
    """Make a set; if that fails, nothing is left of it."""
    preflight.require_root()
    preflight.require_commands(libvirtd=wish.libvirtd)
    with registry.locked():
        _sweep_abandoned(registry)
        record = _plan(wish, registry)
        registry.save(record)
        try:
            return _make(record, registry, libvirtd=wish.libvirtd)
        except BaseException:
            _remove(record, registry)
            raise


def down(name: str, registry: Registry) -> bool:
    """Remove a set; return whether there was one."""
    preflight.require_root()
    with registry.locked():
        record = registry.get(name)
        if record is None:
            _log.info("There is no set named %s.", name)
        else:
            _remove(record, registry)
        return record is not None


def scope_of(record: HostSet, member: Host | None = None) -> processes.Scope:
    """Return what tells the processes of a member, or of the whole set, from all others."""
    members = (member,) if member else record.members
    networks = frozenset(each.network for each in members if each.network)
    if member:
        return processes.Scope(record.mark(member), networks, exact=True)
    return processes.Scope(record.marks, networks)


def _sweep_abandoned(registry: Registry) -> None:
    for record in registry.sets():
        if record.owner and not _is_alive(record.owner, record.boot_id):
            _log.info("%s: its process is gone", record.name)
            _remove(record, registry)


def _is_alive(owner: Process, boot_id: str) -> bool:
    return boot_id == processes.boot_id() and processes.is_alive(owner)


def _plan(wish: Wish, registry: Registry) -> HostSet:
    others = registry.sets()
    name = _free_name(wish.name, {other.name for other in others})
    subnet = plan.choose_subnet(wish.subnet, wish.count, (other.subnet for other in others))
    fabric_address, addresses = plan.addresses(subnet, wish.count)
    return HostSet(
        name=name,
        folder=str(_free_folder(wish.state or registry.folder, name)),
        subnet=str(subnet),
        token=uuid.uuid4().hex,
        boot_id=processes.boot_id(),
        private_pids=wish.private_pids,
        fabric=Host(f"{name}-fabric", fabric_address, str(uuid.uuid4())),
        hosts=tuple(
            Host(f"{name}-{number}", address, str(uuid.uuid4()))
            for number, address in enumerate(addresses, start=1)
        ),
        owner=wish.owner,
    )


def _free_name(wanted: str | None, taken: set[str]) -> str:
    if wanted is None:
        return plan.choose_name(taken)
    if wanted in taken:
        raise HostsError(
            f"A set named {wanted} exists. Choose another name, or remove it: "
            f"python -m tools.testhosts down --name {wanted}"
        )
    return plan.check_name(wanted)


def _free_folder(state: Path, name: str) -> Path:
    if not state.is_dir():
        raise HostsError(f"The state folder {state} does not exist.")
    folder = state.resolve() / name
    if folder.exists():
        raise HostsError(f"{folder} exists and is no set's. Remove it or choose another name.")
    return folder


def _make(record: HostSet, registry: Registry, *, libvirtd: bool) -> HostSet:
    folders = config.private_folders(Path.home())
    registry.add_mount_points(folders)
    Path(record.folder).mkdir(mode=0o711)
    with contextlib.ExitStack() as running:
        starting = {}
        for member in record.members:
            _write_tree(record, member, folders)
            # The fabric has no hypervisor; it is where packets for other networks end.
            hypervisor = libvirtd and member is not record.fabric
            spec = _spec(record, member, folders, libvirtd=hypervisor)
            starting[member.name] = running.enter_context(Starting(spec, record.holder_log(member)))
        for member in record.members:
            hello = Hello.from_line(starting[member.name].read_line())
            met = dataclasses.replace(member, holder=hello.holder, network=hello.network)
            record = record.with_member(met)
        registry.save(record)
        network.connect(record)
        _log.info("%s: %d hosts joined in %s", record.name, len(record.hosts), record.subnet)
        for each in starting.values():
            each.let_run()
        for name, each in starting.items():
            answer = Answer.from_line(each.read_line())
            if answer.error:
                raise HostsError(f"{name}: {answer.error}")
    for host in record.hosts:
        _log.info("%s: %s is up", host.name, host.address)
    return record


def _write_tree(record: HostSet, member: Host, folders: dict[str, int]) -> None:
    """Write a member's private folders and files, by the paths that it will see."""
    tree = record.member_folder(member)
    socket = f"{tree}{config.LIBVIRT_SOCKET}"
    if len(os.fsencode(socket)) > _LONGEST_SOCKET:
        raise HostsError(f"The state folder's path is too long: {socket} cannot be a socket.")
    tree.mkdir(mode=0o711)
    for path, mode in (folders | config.EXPECTED_FOLDERS).items():
        folder = Path(f"{tree}{path}")
        folder.mkdir(parents=True)
        folder.chmod(mode)
    if _NWFILTERS.is_dir():
        shutil.copytree(_NWFILTERS, f"{tree}{_NWFILTERS}")
    files = config.private_files(member, record.members) | config.libvirt_files(member)
    for path, text in files.items():
        Path(f"{tree}{path}").write_text(text)


def _spec(record: HostSet, member: Host, folders: dict[str, int], *, libvirtd: bool) -> Spec:
    return Spec(
        name=member.name,
        mark=record.mark(member),
        control=str(record.control_socket(member)),
        tree=str(record.member_folder(member)),
        folders=tuple(folders),
        files=tuple(config.private_files(member, record.members)),
        private_pids=record.private_pids,
        libvirtd=libvirtd,
        forward=member is record.fabric,
    )


def _remove(record: HostSet, registry: Registry) -> None:
    folder = Path(record.folder)
    # After a reboot nothing of the set runs, and its numbers mean other things.
    if record.boot_id == processes.boot_id():
        scope = scope_of(record)
        if processes.Search(scope).holds(os.getpid()):
            raise HostsError(f"This runs inside {record.name}: remove the set from outside.")
        count = processes.end_all(scope)
        _log.info("%s: ended %d processes", record.name, count)
    _require_no_mounts(folder)
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise HostsError(f"The folder of {record.name} cannot be deleted: {error}.") from error
    registry.remove(record.name)
    if not registry.sets():
        registry.remove_mount_points()
    _log.info("%s: gone", record.name)


def _require_no_mounts(folder: Path) -> None:
    """Refuse to delete through a mount that somebody made in the set's folder from outside."""
    for point in processes.mount_points(Path("/proc/self/mountinfo").read_text()):
        if Path(point).is_relative_to(folder):
            raise HostsError(f"Something is mounted on {point}. Unmount it, then try again.")
