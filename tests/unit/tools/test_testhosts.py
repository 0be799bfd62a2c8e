"""What test hosts decide without touching the machine."""

import os
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

import tools.testhosts
from tools.testhosts import config, network, plan, preflight, processes
from tools.testhosts.__main__ import parser
from tools.testhosts.control import Answer
from tools.testhosts.errors import HostsError
from tools.testhosts.holder import Hello, Spec
from tools.testhosts.plan import Host, HostSet, Network, Process
from tools.testhosts.registry import Registry

FABRIC = Host("a-fabric", "10.9.0.254", "uuid-f", Process(10, 100), Network(1000, 1))
FIRST = Host("a-1", "10.9.0.1", "uuid-1", Process(11, 101), Network(1001, 2))
SECOND = Host("a-2", "10.9.0.2", "uuid-2", Process(12, 102), Network(1002, 3))
RECORD = HostSet(
    name="a",
    folder="/state/a",
    subnet="10.9.0.0/24",
    token="0123",
    boot_id="boot",
    private_pids=False,
    fabric=FABRIC,
    hosts=(FIRST, SECOND),
    owner=Process(9, 99),
)


# --- names, addresses, records ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "t1", "mig-a", "x" * 24])
def test_a_name_that_can_begin_host_names_is_taken(name: str) -> None:
    assert plan.check_name(name) == name


@pytest.mark.parametrize("name", ["", "1a", "-a", "a-", "A", "a_b", "a/b", "a.b", "x" * 25])
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(HostsError, match="cannot name a set"):
        plan.check_name(name)


def test_the_first_free_name_is_chosen() -> None:
    assert plan.choose_name([]) == "t1"
    assert plan.choose_name(["t1", "t3", "mine"]) == "t2"


def test_the_first_free_subnet_is_chosen() -> None:
    assert plan.choose_subnet(None, 2, []) == IPv4Network("10.9.0.0/24")
    taken = ["10.9.0.0/24", "10.9.1.128/25"]
    assert plan.choose_subnet(None, 2, taken) == IPv4Network("10.9.2.0/24")


def test_a_pool_without_a_free_subnet_is_said() -> None:
    with pytest.raises(HostsError, match="Take some down"):
        plan.choose_subnet(None, 2, ["10.9.0.0/16"])


def test_a_wanted_subnet_must_be_free_and_large_enough() -> None:
    assert plan.choose_subnet("10.1.0.0/29", 5, []) == IPv4Network("10.1.0.0/29")
    with pytest.raises(HostsError, match="1 to 5 hosts, not 6"):
        plan.choose_subnet("10.1.0.0/29", 6, [])
    with pytest.raises(HostsError, match="1 to 253 hosts, not 0"):
        plan.choose_subnet(None, 0, [])
    with pytest.raises(HostsError, match="overlaps"):
        plan.choose_subnet("10.1.0.0/24", 2, ["10.1.0.0/16"])
    with pytest.raises(HostsError, match="not an IPv4 subnet"):
        plan.choose_subnet("10.1.0.1/24", 2, [])


def test_hosts_have_the_first_addresses_and_the_fabric_the_last() -> None:
    fabric, hosts = plan.addresses(IPv4Network("10.9.0.0/24"), 3)
    assert fabric == "10.9.0.254"
    assert hosts == ["10.9.0.1", "10.9.0.2", "10.9.0.3"]


@pytest.mark.parametrize(
    "record", [RECORD, replace(RECORD, owner=None, hosts=(Host("b", "", ""),))]
)
def test_a_record_is_read_as_it_was_written(record: HostSet) -> None:
    assert HostSet.from_json(record.to_json()) == record


def test_a_member_of_a_record_is_replaced_by_its_name() -> None:
    moved = replace(SECOND, address="10.9.0.9")
    assert RECORD.with_member(moved).members == (FABRIC, FIRST, moved)
    other = replace(FABRIC, address="10.9.0.8")
    assert RECORD.with_member(other).members == (other, FIRST, SECOND)


def test_what_is_said_between_processes_is_read_as_it_was_written() -> None:
    spec = Spec("a-1", "mark", "/c", "/t", ("/run", "/tmp"), ("/etc/hosts",), False, True, False)
    assert Spec.from_json(spec.to_json()) == spec
    hello = Hello(Process(1, 2), Network(3, 4))
    assert Hello.from_line(hello.to_line()) == hello
    answer = Answer(error="no", libvirtd=7)
    assert Answer.from_line(answer.to_line()) == answer


# --- files and links ----------------------------------------------------------------------------


def test_every_host_has_its_own_folders() -> None:
    folders = config.private_folders(Path("/home/me"))
    assert {"/run", "/tmp", "/var/lib/libvirt", "/var/lib/novaray"} <= set(folders)
    assert {"/home/me/.ray", "/home/me/.config/novaray"} <= set(folders)


def test_a_home_below_a_private_folder_is_private_already() -> None:
    assert config.private_folders(Path("/tmp/home")) == config.PRIVATE_FOLDERS


def test_no_private_folder_hides_another() -> None:
    folders = [Path(folder) for folder in config.private_folders(Path("/home/me"))]
    assert not [a for a in folders for b in folders if a != b and a.is_relative_to(b)]


def test_libvirt_listens_on_the_hosts_address_with_the_hosts_uuid() -> None:
    text = config.libvirt_files(FIRST)["/etc/libvirt/libvirtd.conf"]
    assert 'host_uuid = "uuid-1"' in text
    assert 'listen_addr = "10.9.0.1"' in text


def test_guests_need_nothing_that_two_daemons_share() -> None:
    text = config.libvirt_files(FIRST)["/etc/libvirt/qemu.conf"]
    for line in ("namespaces = []", "cgroup_controllers = []", 'stdio_handler = "file"'):
        assert line in text.splitlines()


def test_a_host_knows_the_others_by_name() -> None:
    text = config.private_files(FIRST, RECORD.members)["/etc/hosts"]
    assert text.splitlines() == [
        "127.0.0.1 localhost", "10.9.0.254 a-fabric", "10.9.0.1 a-1", "10.9.0.2 a-2",
    ]  # fmt: skip


def test_links_are_made_inside_the_set() -> None:
    fabric = network.fabric_commands(RECORD)
    assert "link add h1 type veth peer name eth0 netns 11" in fabric
    assert "link add h2 type veth peer name eth0 netns 12" in fabric
    assert "address add 10.9.0.254/24 dev fab0" in fabric
    host = network.host_commands(RECORD, SECOND)
    assert "address add 10.9.0.2/24 dev eth0" in host
    assert "route add default via 10.9.0.254" in host


# --- processes ----------------------------------------------------------------------------------

OUTSIDE = "36 35 98:0 / / rw master:1 - ext4 /dev/root rw\n"
INSIDE = OUTSIDE + "40 36 0:99 / /dev/shm rw - tmpfs {mark} rw\n"
SCOPE = processes.Scope(RECORD.marks, frozenset({Network(1001, 2), Network(1002, 3)}))


class Machine:
    """A /proc of files: processes in namespaces."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self._namespaces = folder / "namespaces"
        self.proc.mkdir()
        self._namespaces.mkdir()
        (self.proc / "self").symlink_to("1")

    def add(self, pid: int, mount: str, net: str, mountinfo: str = OUTSIDE) -> None:
        process = self.proc / str(pid)
        (process / "ns").mkdir(parents=True)
        (process / "mountinfo").write_text(mountinfo)
        for kind, name in (("mnt", mount), ("net", net)):
            namespace = self._namespaces / name
            namespace.touch()
            (process / "ns" / kind).symlink_to(namespace)

    def name(self, pid: int, comm: str, *command: str) -> None:
        (self.proc / str(pid) / "comm").write_text(f"{comm}\n")
        (self.proc / str(pid) / "cmdline").write_text("".join(f"{word}\0" for word in command))

    def inode(self, namespace: str) -> int:
        return (self._namespaces / namespace).stat().st_ino


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.add(1, "machine", "machine")
    return made


def find(machine: Machine, scope: processes.Scope, cookies: dict[int, int]) -> set[int]:
    def identify(namespace: Path) -> Network:
        inode = namespace.stat().st_ino
        return Network(inode, cookies[inode])

    return processes.Search(scope, proc=machine.proc, identify=identify).members()


def test_processes_with_a_marked_mount_are_members(machine: Machine) -> None:
    machine.add(2, "a-1", "a-1", INSIDE.format(mark=RECORD.mark(FIRST)))
    machine.add(3, "a-1", "a-1", INSIDE.format(mark=RECORD.mark(FIRST)))
    machine.add(4, "child of a-1", "qdhcp", INSIDE.format(mark=RECORD.mark(FIRST)))
    machine.add(5, "a-2", "a-2", INSIDE.format(mark=RECORD.mark(SECOND)))
    machine.add(6, "b-1", "b-1", INSIDE.format(mark="novaray-testhosts:4567:b-1"))
    machine.add(7, "other", "machine")
    assert find(machine, SCOPE, {}) == {2, 3, 4, 5}
    exact = processes.Scope(RECORD.mark(FIRST), frozenset(), exact=True)
    assert find(machine, exact, {}) == {2, 3, 4}


def test_the_tenth_host_is_not_the_first(machine: Machine) -> None:
    machine.add(2, "a-10", "a-10", INSIDE.format(mark=RECORD.mark(replace(FIRST, name="a-10"))))
    exact = processes.Scope(RECORD.mark(FIRST), frozenset(), exact=True)
    assert find(machine, exact, {}) == set()


def test_processes_in_the_network_only_are_members(machine: Machine) -> None:
    machine.add(2, "machine", "a-1")
    inode = machine.inode("a-1")
    scope = processes.Scope(RECORD.marks, frozenset({Network(inode, 77)}))
    assert find(machine, scope, {inode: 77}) == {2}


def test_a_network_that_only_has_the_number_of_ours_is_not_ours(machine: Machine) -> None:
    machine.add(2, "machine", "reused")
    inode = machine.inode("reused")
    scope = processes.Scope(RECORD.marks, frozenset({Network(inode, 77)}))
    assert find(machine, scope, {inode: 78}) == set()


def test_a_process_that_ends_while_it_is_looked_at_is_none(machine: Machine) -> None:
    (machine.proc / "8").mkdir()
    machine.add(9, "a-1", "a-1", INSIDE.format(mark=RECORD.mark(FIRST)))
    (machine.proc / "9/mountinfo").unlink()
    assert find(machine, SCOPE, {}) == set()


def test_mount_points_are_read_with_their_blanks() -> None:
    text = "36 35 98:0 / /a\\040b\\134c rw - ext4 /dev/root rw\n"
    assert list(processes.mount_points(text)) == ["/a b\\c"]


def test_processes_are_known_by_name_file_or_title(machine: Machine) -> None:
    machine.name(1, "init", "/sbin/init")
    for pid in range(2, 6):
        machine.add(pid, "m", "n")
    machine.name(2, "raylet", "/venv/raylet/raylet", "--raylet_socket")
    machine.name(3, "qemu-system-x86", "/usr/bin/qemu-system-x86_64", "-name")
    machine.name(4, "ray::HostActor", "ray::HostActor.serve")
    machine.name(5, "raylet-not", "/venv/raylet-not")
    everyone = {1, 2, 3, 4, 5, 404}
    for pattern, expected in {
        "raylet": {2},
        "qemu-system-x86_64": {3},
        "qemu-*": {3},
        "ray::*": {4},
        "libvirtd": set(),
    }.items():
        assert processes.named(everyone, pattern, machine.proc) == expected


def test_a_process_is_told_from_a_later_one_with_its_number(machine: Machine) -> None:
    fields = " ".join(str(number) for number in range(4, 53))
    (machine.proc / "1/stat").write_text(f"1 (a (odd) name) S {fields}\n")
    assert processes.started(1, machine.proc) == 22
    assert processes.is_alive(Process(1, 22), machine.proc)
    assert not processes.is_alive(Process(1, 23), machine.proc)
    assert not processes.is_alive(Process(404, 22), machine.proc)


def test_a_zombie_does_not_run(machine: Machine) -> None:
    fields = " ".join(str(number) for number in range(4, 53))
    (machine.proc / "1/stat").write_text(f"1 (python) Z {fields}\n")
    assert processes.started(1, machine.proc) is None


# --- the registry -------------------------------------------------------------------------------


def test_a_registry_keeps_sets_and_finds_hosts(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    with registry.locked():
        registry.save(RECORD)
    assert registry.sets() == [RECORD]
    assert registry.get("a") == RECORD
    assert registry.find_host("a-2") == (RECORD, SECOND)
    with pytest.raises(HostsError, match=r"no test host b-1\. There are: a-fabric, a-1, a-2"):
        registry.find_host("b-1")


def test_a_registry_without_sets_leaves_no_folder(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    with registry.locked():
        registry.save(RECORD)
        (registry.folder / "half-written.new").touch()
        registry.remove("a")
    assert not registry.folder.exists()
    assert registry.sets() == []
    assert registry.get("a") is None


def test_a_record_of_another_version_is_not_guessed_at(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    (tmp_path / "a.set.json").write_text('{"format": 0}')
    with pytest.raises(HostsError, match="another version"):
        registry.sets()


def test_mount_points_are_removed_unless_somebody_uses_them(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    there = tmp_path / "there"
    there.mkdir()
    with registry.locked():
        registry.add_mount_points([str(there), str(tmp_path / "new/deep"), str(tmp_path / "used")])
        registry.add_mount_points([str(tmp_path / "new/deep")])
        assert (tmp_path / "new/deep").is_dir()
        (tmp_path / "used/file").touch()
        registry.remove_mount_points()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there", "used"]


# --- the command line ---------------------------------------------------------------------------


def test_everything_after_the_host_is_the_command() -> None:
    chosen = parser().parse_args(["exec", "a-1", "--", "ls", "--all", "--"])
    assert (chosen.host, chosen.command) == ("a-1", ["ls", "--all", "--"])


def test_down_takes_a_name_or_all() -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["down", "--all", "--name", "a"])


def test_system_commands_are_found_without_their_folders_on_the_path() -> None:
    path = preflight.search_path({"PATH": "/usr/bin:/usr/sbin"}).split(os.pathsep)
    assert path == ["/usr/bin", "/usr/sbin", "/usr/local/sbin", "/sbin"]


def test_a_missing_command_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(preflight, "search_path", lambda _: str(tmp_path))
    with pytest.raises(HostsError, match=r"ip \(package iproute2\).*apt-get install"):
        preflight.require_commands(libvirtd=False)
    for name in ("ip", "nsenter"):
        (tmp_path / name).touch(mode=0o755)
    preflight.require_commands(libvirtd=False)
    with pytest.raises(HostsError, match=r"libvirtd \(package libvirt-daemon-system\)"):
        preflight.require_commands(libvirtd=True)


def test_an_ordinary_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostsError, match="as root"):
        preflight.require_root()


def test_the_public_names_are_these() -> None:
    assert tools.testhosts.__all__ == sorted(tools.testhosts.__all__)
    assert all(hasattr(tools.testhosts, name) for name in tools.testhosts.__all__)
