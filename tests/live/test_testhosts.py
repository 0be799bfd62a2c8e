"""Test hosts are machines of their own, and nothing is left of them."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.testhosts import HostsError, TestHost, TestHosts, test_hosts
from tools.testhosts.config import private_folders
from tools.testhosts.plan import Process
from tools.testhosts.processes import is_alive, mount_points, started
from tools.testhosts.registry import FOLDER, Registry

# Ray alone takes ten seconds on an idle machine.
pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parents[2]
#: What sets are named that may leave traces; another run of these tests has another one.
TRACE = f"trace-{os.getpid()}"
TOOL = [sys.executable, "-m", "tools.testhosts"]
LIMIT = 120.0
GUEST = """\
<domain type='qemu'>
  <name>guest</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
</domain>
"""


@pytest.fixture(scope="class")
def hosts() -> Iterator[TestHosts]:
    with test_hosts(2) as made:
        yield made


def run_tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TOOL, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"not within {LIMIT:.0f} s: {what}"
        time.sleep(0.05)


def ask_libvirt(host: TestHost, *command: str) -> str:
    """Ask a host's libvirt from outside, through the host's own socket."""
    return subprocess.run(
        ["virsh", "--connect", host.libvirt_uri, *command],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip


def start_guest(host: TestHost) -> None:
    host.run(["tee", "/tmp/guest.xml"], stdin=GUEST, check=True)
    host.run(["virsh", "create", "/tmp/guest.xml"], check=True)
    host.run(["rm", "/tmp/guest.xml"], check=True)


def unusual() -> str:
    """Return a number of seconds to sleep by which a test knows its own sleepers."""
    return f"{random.randint(1000, 9999)}.{os.getpid()}"


def running(pattern: str) -> set[int]:
    """Return the living processes whose command line has the pattern."""
    found = set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if re.search(pattern, command.strip()):
                    found.add(int(entry.name))
    return found


def parent_of(pid: int) -> int:
    """Return the number of a process's parent (proc(5))."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def belongings(*state: Path) -> set[str]:
    """Return what could be a set's on this machine, outside of namespaces.

    Other tests may run meanwhile: what their sets have is not looked at.
    """
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    found = set(re.findall(r"\b(?:fab\d+|h\d+@\w+|eth0@\w+)\b", links))
    points = set(mount_points(Path("/proc/self/mountinfo").read_text()))
    places = {*private_folders(Path.home()), "/etc/hosts", "/dev/shm", "/sys"}
    found |= {f"mount on {point}" for point in points if Path(point).is_relative_to(FOLDER)}
    found |= {f"mount on {point}" for point in points & places}
    sets = Registry().sets()
    if all(record.name.startswith(TRACE) for record in sets):
        found |= {place for place in places if Path(place).exists()}
    for folder in (FOLDER, *state):
        found |= {str(path) for path in folder.glob(f"{TRACE}*")}
    if not sets:
        found |= {str(FOLDER)} if FOLDER.exists() else set()
    return found


class TestSet:
    """One set for all of these: a new one for each would take half a minute."""

    # a set is several machines

    def test_each_host_answers_with_its_own_uuid(self, hosts: TestHosts) -> None:
        told = [
            re.findall(r"<uuid>(.*)</uuid>", ask_libvirt(host, "capabilities"))[0] for host in hosts
        ]
        assert told == [host.uuid for host in hosts]
        assert len(set(told)) == 2

    def test_hosts_reach_each_other_by_name_and_address(self, hosts: TestHosts) -> None:
        first, second = hosts
        for target in (second.name, second.address, hosts.fabric.address):
            first.run(["ping", "-c1", "-W5", target], check=True)
        listing = first.run(["virsh", "--connect", f"qemu+tcp://{second.name}/system", "hostname"])
        assert listing.stdout.strip() == second.name

    def test_what_is_not_in_the_set_is_unreachable_at_once(self, hosts: TestHosts) -> None:
        # 192.0.2.0/24 is for documentation: it is nobody's.
        code = "import socket; socket.create_connection(('192.0.2.1', 80), 100)"
        done = hosts[0].run([sys.executable, "-c", code], timeout=50)
        assert "unreachable" in done.stderr
        # A name server that does not answer is asked again after five seconds.
        seconds = []
        for _ in range(3):
            began = time.monotonic()
            assert hosts[0].run(["getent", "hosts", "name.invalid"], timeout=50).returncode == 2
            seconds.append(time.monotonic() - began)
        assert min(seconds) < 4

    def test_a_host_has_files_of_its_own(self, hosts: TestHosts) -> None:
        first, second = hosts
        for folder in [*private_folders(Path.home()), "/dev/shm", "/run/libvirt", "/run/novaray"]:
            file = f"{folder}/only-{first.name}"
            first.run(["touch", file], check=True)
            assert second.run(["test", "-e", file]).returncode == 1
            assert not Path(file).exists()
            if folder != "/dev/shm":
                assert Path(f"{first.folder}{file}").exists()
            first.run(["rm", file], check=True)
        assert first.run(["hostname"]).stdout == f"{first.name}\n"
        assert first.run(["ls", "/sys/class/net"]).stdout.split() == ["eth0", "lo"]

    def test_two_sets_live_side_by_side(self, hosts: TestHosts, tmp_path: Path) -> None:
        with test_hosts(1, libvirtd=False, state=tmp_path) as others:
            assert others.name != hosts.name
            assert not others.subnet.overlaps(hosts.subnet)
            assert others[0].folder.is_relative_to(tmp_path)
            with pytest.raises(HostsError, match="A set named"), test_hosts(1, name=hosts.name):
                pass
        assert hosts[0].libvirtd_runs
        assert list(tmp_path.iterdir()) == []

    # commands in a host

    def test_exec_passes_on_everything(self, hosts: TestHosts) -> None:
        done = subprocess.run(
            [*TOOL, "exec", hosts[1].name, "--", "sh", "-c", "cat; pwd; echo bad >&2; exit 7"],
            input=b"\x00\xff\n", capture_output=True, cwd=ROOT, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 7
        assert done.stdout == b"\x00\xff\n" + os.fsencode(ROOT) + b"\n"
        assert done.stderr == b"bad\n"

    def test_a_command_in_a_host_is_the_process_that_was_started(self, hosts: TestHosts) -> None:
        with hosts[0].popen(["sleep", "1000"]) as sleeper:
            eventually(lambda: sleeper.pid in running("^sleep 1000$"), "the command runs")
            sleeper.terminate()
        assert sleeper.returncode == -signal.SIGTERM

    def test_running_a_command_does_not_wait_for_its_daemons(self, hosts: TestHosts) -> None:
        seconds = unusual()
        hosts[0].run(["sh", "-c", f"sleep {seconds} & sleep {seconds} &"], timeout=50, check=True)
        eventually(lambda: len(running(f"^sleep {seconds}$")) == 2, "the daemons run")
        assert hosts[0].kill_processes("sleep") == 2
        assert running(f"^sleep {seconds}$") == set()

    def test_only_that_hosts_processes_are_killed(self, hosts: TestHosts) -> None:
        first, second = hosts
        seconds = unusual()
        outside = subprocess.Popen(["sleep", seconds])
        try:
            for host in hosts:
                host.run(["setsid", "-f", "sleep", seconds], check=True)
            eventually(lambda: len(running(f"^sleep {seconds}$")) == 3, "all of them run")
            assert first.kill_processes("sleep", signal.SIGTERM) == 1
            assert outside.poll() is None
            assert second.kill_processes("sl*p") == 1
            assert outside.poll() is None
        finally:
            outside.kill()
            outside.wait()

    # libvirtd comes and goes

    @pytest.mark.parametrize("kill", [False, True])
    def test_guests_outlive_libvirtd(self, hosts: TestHosts, kill: bool) -> None:
        host = hosts[0]
        start_guest(host)
        try:
            host.stop_libvirtd(kill=kill)
            assert not host.libvirtd_runs
            with pytest.raises(subprocess.CalledProcessError):
                ask_libvirt(host, "list")
            assert hosts[1].libvirtd_runs
            host.start_libvirtd()
            # A new libvirtd lists a guest before it has found the way to it; this waits for that.
            status = ask_libvirt(
                host, "qemu-monitor-command", "guest", '{"execute": "query-status"}'
            )
            assert '"status":"running"' in status
            # libvirt does not wait for the machine's first process, which may be a slow one.
            pid_file = Path(f"{host.folder}/run/libvirt/qemu/guest.pid")
            assert parent_of(int(pid_file.read_text())) == host.holder_pid
        finally:
            host.start_libvirtd()
            host.run(["virsh", "destroy", "guest"], check=True)

    def test_a_killed_libvirtd_stays_away_until_it_is_started(self, hosts: TestHosts) -> None:
        host = hosts[1]
        assert host.kill_processes("libvirtd") == 1
        eventually(lambda: not host.libvirtd_runs, "the holder takes note")
        host.start_libvirtd()
        assert host.libvirtd_runs
        host.start_libvirtd()
        assert ask_libvirt(host, "hostname").strip() == host.name

    def test_libvirtd_is_started_and_stopped_from_the_command_line(self, hosts: TestHosts) -> None:
        name = hosts[0].name
        assert run_tool("libvirtd-stop", name).returncode == 0
        assert "libvirtd does not run" in run_tool("list").stdout
        assert run_tool("libvirtd-start", name).returncode == 0
        assert hosts[0].libvirt_uri in run_tool("list").stdout
        refused = run_tool("libvirtd-start", hosts.fabric.name)
        assert (refused.returncode, "no libvirtd" in refused.stderr) == (1, True)


# --- nothing is left ----------------------------------------------------------------------------


def namespaces(pids: set[int]) -> set[str]:
    """Return the namespaces that these processes are in and this one is not."""
    kinds = ("net", "mnt", "uts", "pid")
    own = {os.readlink(f"/proc/self/ns/{kind}") for kind in kinds}
    return {os.readlink(f"/proc/{pid}/ns/{kind}") for pid in pids for kind in kinds} - own


def tick() -> int:
    """Return the time as processes have it that start now."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def left_in(names: set[str], since: int) -> set[int]:
    """Return the processes in these namespaces, but for those that started since.

    The kernel gives a freed namespace's number to the next one, here or in another test run.
    """
    found = set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and namespaces({int(entry.name)}) & names:
                found.add(int(entry.name))
    return {pid for pid in found if (started(pid) or since) < since}


def populate(host: TestHost, seconds: str) -> None:
    """Leave in a host what products leave: a guest, a daemon, and daemons in other namespaces."""
    sleep = ["setsid", "-f", "sleep", seconds]
    start_guest(host)
    host.run(sleep, check=True)
    host.run(["ip", "netns", "add", "inner"], check=True)
    host.run(["ip", "netns", "exec", "inner", *sleep], check=True)
    # In the host's network namespace alone, as a server that moved a thread there would be.
    outside = ["nsenter", f"--net=/proc/{host.holder_pid}/ns/net", "--", *sleep]
    subprocess.run(outside, check=True)


def attach(name: str) -> TestHost:
    return TestHost(*Registry().find_host(name))


@pytest.mark.parametrize("private_pids", [False, True])
def test_down_leaves_nothing_after_holders_were_killed(tmp_path: Path, private_pids: bool) -> None:
    before = belongings(tmp_path)
    stranger = subprocess.Popen(["unshare", "--net", "--mount", "--uts", "sleep", "5000"])
    options = ["--private-pids"] if private_pids else []
    seconds = unusual()
    try:
        made = run_tool("up", "--name", TRACE, "--state", str(tmp_path), *options)
        assert made.returncode == 0, made.stderr
        for number in (1, 2):
            populate(attach(f"{TRACE}-{number}"), seconds)
        eventually(lambda: len(running(f"^sleep {seconds}$")) == 6, "the daemons run")
        holders = running(rf"tools\.testhosts\.holder {TRACE}-")
        assert len(holders) == 3
        names = namespaces(holders)
        assert len(names) == 3 * (4 if private_pids else 3)

        for pid in holders:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: not running(rf"tools\.testhosts\.holder {TRACE}-"), "the holders end")
        # With process numbers of its own a host ends with its holder, but for what is outside them.
        eventually(
            lambda: len(running(f"^sleep {seconds}$")) == (2 if private_pids else 6),
            "the rest runs on",
        )
        assert "its holder is gone" in run_tool("list").stdout
        refused = run_tool("exec", f"{TRACE}-1", "--", "true")
        assert refused.returncode == 1
        assert f"down --name {TRACE}" in refused.stderr

        now = tick()
        assert left_in(names, now)
        for _ in range(2):
            gone = run_tool("down", "--name", TRACE)
            assert gone.returncode == 0, gone.stderr
            assert running(f"^sleep {seconds}$") == set()
            assert not left_in(names, now)
            assert not belongings(tmp_path) - before
        assert stranger.poll() is None
    finally:
        run_tool("down", "--name", TRACE)
        stranger.kill()
        stranger.wait()


def test_a_with_block_that_fails_leaves_nothing() -> None:
    before = belongings()
    names: set[str] = set()

    def fail(hosts: TestHosts) -> None:
        start_guest(hosts[0])
        names.update(namespaces({host.holder_pid for host in (*hosts, hosts.fabric)}))
        assert len(left_in(names, tick() + 1)) == 4  # two holders, libvirtd, the guest
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), test_hosts(1, name=TRACE) as hosts:
        fail(hosts)
    assert not left_in(names, tick())
    assert not belongings() - before


def test_a_set_has_folders_on_the_machine_and_nothing_else(tmp_path: Path) -> None:
    before = belongings(tmp_path)
    with test_hosts(1, name=TRACE, libvirtd=False, state=tmp_path):
        during = belongings(tmp_path) - before
        assert str(tmp_path / TRACE) in during
        assert not [name for name in during if not Path(name).exists()]
    assert not belongings(tmp_path) - before


def test_a_set_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    before = belongings(tmp_path)
    deep = tmp_path / ("d" * 80)
    deep.mkdir()
    with pytest.raises(HostsError, match="too long"), test_hosts(1, name=TRACE, state=deep):
        pass
    deep.rmdir()
    assert not belongings(tmp_path) - before


MAKER = """\
import signal, sys
from tools.testhosts import test_hosts
with test_hosts(1, name=sys.argv[1], libvirtd=False) as hosts:
    print(hosts[0].holder_pid, flush=True)
    signal.pause()
"""


def test_a_set_whose_maker_was_killed_is_swept_by_the_next() -> None:
    before = belongings()
    maker = subprocess.Popen(
        [sys.executable, "-c", MAKER, f"{TRACE}-orphan"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with maker:
        assert maker.stdout
        holder = int(maker.stdout.readline())
        maker.kill()
    orphan = Process(holder, started(holder) or 0)
    assert is_alive(orphan)
    with test_hosts(1, name=f"{TRACE}-next", libvirtd=False):
        assert not is_alive(orphan)
        assert f"{TRACE}-orphan" not in run_tool("list").stdout
    assert not belongings() - before


def test_a_maker_killed_at_any_moment_leaves_nothing_after_down() -> None:
    before = belongings()
    for delay in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4):
        maker = subprocess.Popen(
            [*TOOL, "up", "--name", f"{TRACE}-half"],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with maker, contextlib.suppress(subprocess.TimeoutExpired):
            maker.wait(delay)
        maker.kill()
        gone = run_tool("down", "--name", f"{TRACE}-half")
        assert gone.returncode == 0, gone.stderr
        eventually(
            lambda: not running(rf"tools\.testhosts\.holder {TRACE}-half-"), "the holders end"
        )
        assert not belongings() - before


def test_a_host_can_have_process_numbers_of_its_own() -> None:
    with test_hosts(1, libvirtd=False, private_pids=True) as hosts:
        host = hosts[0]
        assert (
            host.run(["cat", "/proc/1/comm"]).stdout
            == Path(f"/proc/{host.holder_pid}/comm").read_text()
        )
        assert host.run(["sh", "-c", "exit 7"]).returncode == 7
        seconds = unusual()
        with host.popen(["sleep", seconds]) as sleeper:
            eventually(lambda: len(running(f"^sleep {seconds}$")) == 1, "the command runs")
            sleeper.terminate()
        eventually(lambda: not running(f"^sleep {seconds}$"), "the command ends as well")
        host.run(["setsid", "-f", "sleep", seconds], check=True)
        eventually(lambda: host.kill_processes("sleep") == 1, "the daemon can be ended")


# --- Ray ----------------------------------------------------------------------------------------

RAY = str(Path(sys.executable).with_name("ray"))
DRIVER = """\
import socket, sys, ray
class Where:
    def host(self):
        return socket.gethostname()
ray.init(address=sys.argv[1], log_to_driver=False)
for label in ("one", "two"):
    actor = ray.remote(Where).options(num_cpus=0, label_selector={"host": label}).remote()
    print(ray.get(actor.host.remote(), timeout=240), flush=True)
"""


def start_ray(host: TestHost, label: str, *options: str) -> None:
    host.run(
        [
            RAY, "start", f"--node-ip-address={host.address}", f"--labels=host={label}",
            "--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats", *options,
        ],
        env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}, timeout=240, check=True,
    )  # fmt: skip


@pytest.mark.parametrize("private_pids", [False, True])
def test_a_ray_cluster_spans_the_hosts_and_goes_with_them(private_pids: bool) -> None:
    before = belongings()
    with test_hosts(2, name=f"{TRACE}-ray", libvirtd=False, private_pids=private_pids) as hosts:
        first, second = hosts
        cluster = f"{first.address}:6379"
        start_ray(first, "one", "--head", "--port=6379", "--include-dashboard=false")
        start_ray(second, "two", f"--address={cluster}")
        driver = first.run([sys.executable, "-c", DRIVER, cluster], timeout=300)
        assert driver.stdout.split() == [first.name, second.name], driver.stderr
        if private_pids:
            # `ray stop` ends every Ray it can see. Without process numbers of its own, a host sees
            # those of the whole machine.
            second.run([RAY, "stop"], timeout=240, check=True)
        assert second.kill_processes("raylet") == (0 if private_pids else 1)
        assert first.kill_processes("gcs_server") == 1
        names = namespaces({host.holder_pid for host in hosts})
    assert not left_in(names, tick())
    assert not belongings() - before
