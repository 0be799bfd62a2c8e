"""One network's DHCP and DNS server on this host: dnsmasq(8) in the network's namespace.

It is no child of ours: it lives on while our process is replaced, and is found again by what we
wrote down or by the namespace it is in. It serves the guests in its hosts file and nobody else.
"""

import logging
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, Self

from actors.hostnet import state_file
from actors.hostnet.command import refused, run
from actors.hostnet.namespace import Namespace
from actors.hostnet.plan import METADATA, Plan
from actors.hostnet.process import Process
from actors.model.ids import InstanceId, PortId
from actors.model.network import DOMAIN, Network

#: Neutron's default. Static addresses make it of little importance: guests renew at half of it.
LEASE_SECONDS: Final = 86_400

_GRACE_SECONDS: Final = 2.0
_PROGRAM: Final = "dnsmasq"
_USER: Final = "nobody"

_NO_PORT: Final = PortId("")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class Lease:
    """A guest's card as dnsmasq knows it."""

    address: IPv4Address
    mac: str
    instance: InstanceId
    #: Empty in what a release before this one has written.
    port: PortId = _NO_PORT

    @property
    def name(self) -> str:
        """Its host name, as Neutron makes it.

        Not the instance's name: two projects on one network may both have a "db", and a name may
        mean something to dnsmasq ("ignore", "45m").
        """
        return f"host-{str(self.address).replace('.', '-')}"

    def to_line(self) -> str:
        """A line of the hosts file (dnsmasq(8), ``--dhcp-host``); whose it is, in a comment.

        A tag (``set:``) would be the place for that, but dnsmasq 2.90 crashes when it reads such
        a line again while the lease is held.
        """
        return (
            f"{self.mac},{self.address},{self.name} # {self.instance} {self.port}".rstrip() + "\n"
        )

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Read a line.

        Raises:
            ValueError: It is none of ours.
        """
        host, whose = line.split(" # ")
        mac, address, _ = host.split(",")
        instance, _, port = whose.partition(" ")
        return cls(IPv4Address(address), mac, InstanceId(instance), PortId(port))


class Dnsmasq:
    """The server of one network. Not for several threads at once."""

    def __init__(self, folder: Path, network: Network) -> None:
        self._folder = folder
        self._hosts = folder / "hosts"
        self._pid_file = folder / "dnsmasq.pid"
        self._log_file = folder / "dnsmasq.log"
        #: Number and start of the process (a number alone may mean another by now), and its wire.
        self._record = folder / "process"
        self._network = network
        self._plan = Plan.of(network)
        self._namespace = Namespace(self._plan.namespace)
        self._process: Process | None = None
        #: Where that process listens. It is bound to its device and would not notice another.
        self._wire = ""

    def leases(self) -> tuple[Lease, ...]:
        """What the hosts file says: whom the server knew when our process ended."""
        found = []
        for line in state_file.read(self._hosts).splitlines():
            try:
                found.append(Lease.from_line(line))
            except ValueError:
                _log.warning("%s: not a line of ours: %r", self._hosts, line)
        return tuple(found)

    @property
    def alive(self) -> bool:
        """Whether the process we know runs."""
        return self._process is not None and self._process.alive

    def serve(self, leases: Iterable[Lease], wire: str) -> None:
        """Serve these guests and no others: start or adopt the process, or have it read again.

        ``wire`` names the device in the namespace, which may not be the one of the last time.
        """
        text = "".join(lease.to_line() for lease in sorted(leases))
        changed = state_file.write(self._hosts, text)
        if not self.alive or wire != self._wire:
            self._adopt(wire)
        if self._process is None:
            self._start(wire)
        elif changed:
            # Reads the hosts file again (dnsmasq(8), NOTES).
            self._process.signal(signal.SIGHUP)

    def stop(self, namespace: int) -> None:
        """End the process, and any dnsmasq in the namespace of this inode (0: in none)."""
        self._forget()
        for process in self._candidates(namespace):
            process.end(_GRACE_SECONDS)
            process.close()
        for file in (self._hosts, self._pid_file, self._record):
            file.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the process. It goes on."""
        self._forget()

    def _adopt(self, wire: str) -> None:
        """Take over the process that runs as we would start one; end those that run otherwise."""
        self._forget()
        pid, _, noted_wire = self._noted()
        wanted = (pid, wire, self._command())
        for process in self._candidates(self._namespace.inode):
            if (process.pid, noted_wire, process.command) == wanted:
                self._process, self._wire = process, wire
                # It may have read an older hosts file than the one that lies there.
                process.signal(signal.SIGHUP)
            else:
                _log.warning("ending %r: not as %s is served now", process, self._network.label)
                process.end(_GRACE_SECONDS)
                process.close()

    def _candidates(self, namespace: int) -> Iterator[Process]:
        """Processes that are ours: the one we wrote down, and every dnsmasq in our namespace."""
        pid, started, _ = self._noted()
        noted = Process.find(pid)
        if noted is not None:
            # Wherever it is: somebody may have taken its namespace's name away.
            if noted.started == started and noted.command[:1] == (_PROGRAM,):
                yield noted
            else:
                noted.close()
                pid = 0
        if namespace:
            for process in Process.inside(namespace):
                if process.command[:1] == (_PROGRAM,) and process.pid != pid:
                    yield process
                else:
                    process.close()

    def _start(self, wire: str) -> None:
        # Returns once it has put itself in the background, or with what went wrong before that.
        run(self._namespace.enter(self._command()))
        pid = state_file.read(self._pid_file).strip()
        process = Process.find(int(pid)) if pid.isdecimal() else None
        if process is None:
            raise refused(f"dnsmasq of {self._network.id} has ended; see {self._log_file}")
        self._process, self._wire = process, wire
        state_file.write(self._record, f"{pid} {process.started} {wire}")
        _log.info("network %s: started %r", self._network.label, process)

    def _noted(self) -> tuple[int, str, str]:
        fields = state_file.read(self._record).split()
        if len(fields) != 3 or not fields[0].isdecimal():
            return 0, "", ""
        return int(fields[0]), fields[1], fields[2]

    def _command(self) -> tuple[str, ...]:
        network = self._network
        cidr = network.cidr
        return (
            _PROGRAM,
            # Only what stands here counts.
            "--conf-file=",
            "--no-hosts",
            "--no-resolv",
            f"--user={self._user()}",
            f"--pid-file={self._pid_file}",
            f"--log-facility={self._log_file}",
            "--quiet-dhcp",
            f"--interface={self._plan.device}",
            "--except-interface=lo",
            "--bind-interfaces",
            f"--domain={DOMAIN}",
            f"--local=/{DOMAIN}/",
            f"--dhcp-hostsfile={self._hosts}",
            f"--dhcp-range={cidr.network_address},static,{cidr.netmask},{LEASE_SECONDS}",
            # Its default of 1000 would be the end of a larger network.
            f"--dhcp-lease-max={cidr.num_addresses}",
            # Not one word to strangers: with an uplink they may be another host's guests.
            "--dhcp-ignore=tag:!known",
            # A client that renews a lease from before a restart is not sent away.
            "--dhcp-authoritative",
            "--leasefile-ro",
            # A guest's boot loader and its system give one card two client ids (RFC 2132 9.14).
            "--dhcp-ignore-clid",
            # No guest takes a name by asking for it.
            "--dhcp-ignore-names",
            f"--dhcp-option=option:router,{network.gateway}",
            # Who reads the routes looks at no router (RFC 3442), so they have it too.
            "--dhcp-option=option:classless-static-route,"
            f"{METADATA}/32,{network.dhcp},0.0.0.0/0,{network.gateway}",
            f"--dhcp-option=option:dns-server,{','.join(map(str, network.name_servers))}",
            f"--dhcp-option=option:mtu,{network.mtu}",
        )

    def _user(self) -> str:
        """Root only where nobody else could read the hosts file again."""
        folders = (self._folder, *self._folder.parents)
        if all(folder.stat().st_mode & 0o001 for folder in folders):
            return _USER
        _log.info("dnsmasq runs as root: %s is not open to others", self._folder)
        return "root"

    def _forget(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None
