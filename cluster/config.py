"""Settings of one node: ``/etc/novaray/novaray.toml``, overridden by ``NOVARAY_*``."""

import os
import socket
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from actors.drivers.libvirt.settings import VirtType
from actors.lifecycle.due import Policy

CONFIG_FILE = Path("/etc/novaray/novaray.toml")


def user_config_dir() -> Path:
    """Where this user's credentials, CA and Ray token lie."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "novaray"


class Settings(BaseSettings):
    """What an operator can set. ``docs/settings.md`` lists them all.

    Sizes are MiB and GiB, times are seconds.
    """

    model_config = SettingsConfigDict(env_prefix="NOVARAY_", extra="forbid", frozen=True)

    #: The cluster's record, images, disks and keys lie below this folder.
    state_dir: Path = Path("/var/lib/novaray")
    #: Process ids and sockets of what ``nova-manage`` starts.
    run_dir: Path = Path("/run/novaray")
    #: Credentials, CA and Ray token, readable by their user alone.
    config_dir: Path = Field(default_factory=user_config_dir)

    #: InstanceActors that share the instances. Fixed when the cluster is made.
    partitions: int = Field(default=1, ge=1, le=256)
    #: Changes kept for watchers that come back.
    keep_events: int = Field(default=20_000, ge=100)

    #: A delete keeps an instance for so long, to be restored; 0 keeps nothing (Nova:
    #: ``reclaim_instance_interval``).
    reclaim_instance_seconds: float = Field(default=0.0, ge=0)
    #: How long a shelved instance keeps its host's room; -1 for ever (Nova:
    #: ``shelved_offload_time``).
    shelved_offload_seconds: float = Field(default=0.0, ge=-1)

    #: A resize that was not confirmed for so long is, by itself; 0 for never.
    resize_confirm_window_seconds: float = Field(default=0.0, ge=0)

    #: Where the gRPC gateway listens.
    listen: str = "127.0.0.1:8774"
    #: This node's address in the Ray cluster.
    node_address: str = "127.0.0.1"
    ray_port: int = Field(default=6379, ge=1, le=65535)
    dashboard_port: int = Field(default=8265, ge=1, le=65535)
    #: Ray's dashboard costs about as much memory as all actors together.
    dashboard: bool = True

    #: This host's name; the machine's own where it is empty.
    host_name: str = ""
    #: ``qemu:///system``, ``qemu+unix:///system?socket=PATH``, or ``test://`` for libvirt's own
    #: test driver.
    libvirt_uri: str = "qemu:///system"
    virt_type: VirtType = VirtType.AUTO
    cpu_ratio: float = Field(default=4.0, gt=0)
    memory_ratio: float = Field(default=1.0, gt=0)
    disk_ratio: float = Field(default=1.0, gt=0)
    reserved_memory_mb: int = Field(default=512, ge=0)
    #: What the host says it has, instead of what libvirt counts: for hosts that share a machine.
    vcpus: int | None = Field(default=None, ge=1)
    memory_mb: int | None = Field(default=None, ge=1)
    disk_gb: int | None = Field(default=None, ge=1)

    #: Where volumes lie on this host; ``volumes`` below ``state_dir`` where nothing is said.
    volumes_dir: Path | None = None
    #: Whether all hosts have that folder (NFS, say): any of them can then attach any volume.
    volumes_shared: bool = False

    #: The largest image, as a file and as the disk that a guest sees.
    max_image_gb: int = Field(default=1024, ge=1)

    #: Between two reports of a host to the scheduler.
    heartbeat_seconds: float = Field(default=5.0, gt=0)
    #: Between two full comparisons of a host with its libvirt.
    compare_seconds: float = Field(default=60.0, gt=0)
    #: A base image that no guest of the host needs leaves its cache after so long.
    unused_image_seconds: float = Field(default=86_400.0, ge=0)
    #: A host that has not reported for so long is down.
    down_after_seconds: float = Field(default=15.0, gt=0)

    #: Whether a resized instance may stay where it is; it does, where there is room for both sizes.
    resize_to_same_host: bool = True

    #: The network made with the cluster.
    network_label: str = "private"
    network_cidr: IPv4Network = IPv4Network("10.0.0.0/20")
    #: Its MTU, and what the cards between the hosts carry (Neutron: ``global_physnet_mtu``).
    network_mtu: int = Field(default=1500, ge=576, le=9000)
    #: A network card of the host that joins a flat network's bridge; none where it is empty.
    network_uplink: str = ""
    #: Where other hosts' VXLAN frames reach this one; ``node_address`` where nothing is said.
    tunnel_address: IPv4Address | None = None

    #: A JSON file whose object guests find as vendor data.
    vendor_data: Path | None = None
    #: Every instance gets a config drive, asked for or not.
    force_config_drive: bool = True

    #: Failure tests hold processes at named points by files in this folder.
    gates: Path | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the file."""
        file = Path(os.environ.get("NOVARAY_CONFIG", CONFIG_FILE))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)

    @property
    def policy(self) -> Policy:
        """What instances do by themselves."""
        offload = self.shelved_offload_seconds
        return Policy(
            reclaim_seconds=self.reclaim_instance_seconds,
            offload_seconds=None if offload < 0 else offload,
            confirm_seconds=self.resize_confirm_window_seconds,
        )

    @property
    def database(self) -> Path:
        """The cluster's record."""
        return self.state_dir / "novaray.sqlite"

    @property
    def ray_dir(self) -> Path:
        """Sessions, sockets and logs of this node's Ray processes."""
        return self.run_dir / "ray"

    @property
    def ray_token_file(self) -> Path:
        """Who can read it has the cluster, and with it every host."""
        return self.config_dir / "ray-token"

    @property
    def ray_address(self) -> str:
        """Of the head that this node would be."""
        return f"{self.node_address}:{self.ray_port}"

    @property
    def node_name(self) -> str:
        """What this node is called in the cluster."""
        return self.host_name or socket.gethostname()

    @property
    def tunnel(self) -> IPv4Address:
        """Where other hosts' VXLAN frames reach this one.

        Raises:
            ValueError: Nothing is said, and ``node_address`` is no IPv4 address.
        """
        return self.tunnel_address or IPv4Address(self.node_address)

    @property
    def images_dir(self) -> Path:
        """The bytes of all images."""
        return self.state_dir / "images"

    @property
    def is_test(self) -> bool:
        """Whether this host runs libvirt's test driver."""
        return self.libvirt_uri.startswith("test:")
