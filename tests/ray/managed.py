"""A cluster as an operator makes it: ``nova-manage`` in processes of its own, gRPC over TLS."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

# Tests start processes; gRPC must not stand in the way of that.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.duration_pb2 import Duration

from protos.novaray.v1 import instances_pb2, instances_pb2_grpc
from tests.ray.ports import free_ports

_MANAGE: Final = str(Path(sys.executable).with_name("nova-manage"))
_COMMAND_SECONDS: Final = 300
_CALL_SECONDS: Final = 60.0
_BACK_SECONDS: Final = 120.0


@dataclass
class Managed:
    """One node, head and host, on libvirt's test driver."""

    folder: Path
    environment: dict[str, str]
    _open: ExitStack = field(default_factory=ExitStack)
    _channel: Any = None

    # --- the operator -------------------------------------------------------------------------

    def manage(self, *arguments: str, code: int = 0) -> str:
        """``nova-manage``; what it wrote to standard output."""
        return self.run(_MANAGE, *arguments, code=code).stdout

    def run(self, *command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """A command in the cluster's environment."""
        done = subprocess.run(
            command,
            check=False,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
        )
        said = f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == code, said
        assert "Traceback" not in done.stderr, said
        return done

    def status(self, code: int = 0) -> dict[str, Any]:
        """What ``nova-manage status`` sees."""
        found: dict[str, Any] = json.loads(self.manage("status", "--json", code=code))
        return found

    def actors(self) -> dict[str, dict[str, Any]]:
        """Actors by name."""
        return {part["name"]: part for part in self.status()["parts"] if part["node"]}

    # --- the user -----------------------------------------------------------------------------

    @property
    def credentials(self) -> dict[str, Any]:
        """What ``up`` wrote."""
        path = Path(self.environment["XDG_CONFIG_HOME"]) / "novaray/credentials.toml"
        return tomllib.loads(path.read_text())

    def channel(self) -> Any:
        """The gateway, over TLS; it reconnects by itself."""
        if self._channel is None:
            found = self.credentials
            trust = grpc.ssl_channel_credentials(Path(found["ca"]).read_bytes())
            options = [("grpc.max_reconnect_backoff_ms", 500), ("grpc.enable_http_proxy", 0)]
            self._channel = grpc.secure_channel(found["endpoint"], trust, options)
            self._open.callback(self._channel.close)
        return self._channel

    def call(self, method: str, request: Any, token: str | None = None) -> Any:
        """One call of the instance service."""
        stub: Any = instances_pb2_grpc.InstanceServiceStub(self.channel())
        bearer = f"Bearer {token or self.credentials['token']}"
        return getattr(stub, method)(
            request, timeout=_CALL_SECONDS, metadata=(("authorization", bearer),)
        )

    def list(self, token: str | None = None) -> list[Any]:
        """All instances of the project."""
        parent = f"projects/{self.credentials['project']}"
        request = instances_pb2.ListInstancesRequest(parent=parent)
        return list(self.call("ListInstances", request, token).instances)

    def boot(self, name: str, image: str) -> Any:
        """Make an instance, and wait until that has ended; the operation."""
        request = instances_pb2.CreateInstanceRequest(
            parent=f"projects/{self.credentials['project']}",
            instance=instances_pb2.Instance(display_name=name),
            flavor="flavors/84",
            image=f"images/{image}",
            request_id=str(uuid.uuid4()),
        )
        return self.ended(self.call("CreateInstance", request))

    def delete(self, name: str) -> Any:
        """Delete an instance, and wait until that has ended."""
        request = instances_pb2.DeleteInstanceRequest(name=name, request_id=str(uuid.uuid4()))
        return self.ended(self.call("DeleteInstance", request))

    def ended(self, operation: Any) -> Any:
        """The operation, once it has ended; or as it is when the time is over."""
        make: Any = operations_pb2_grpc.OperationsStub
        request = operations_pb2.WaitOperationRequest(
            name=operation.name, timeout=Duration(seconds=15)
        )
        bearer = f"Bearer {self.credentials['token']}"
        deadline = time.monotonic() + _BACK_SECONDS
        while not operation.done and time.monotonic() < deadline:
            operation = make(self.channel()).WaitOperation(
                request, timeout=_CALL_SECONDS, metadata=(("authorization", bearer),)
            )
        return operation

    def close(self) -> None:
        """Remove it without a trace."""
        self._open.close()
        try:
            self.manage("down", "--purge", "--yes")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def eventually(call: Callable[[], Any], seconds: float = _BACK_SECONDS) -> Any:
    """The answer, once there is one."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except (grpc.RpcError, AssertionError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def managed() -> Iterator[Managed]:
    """A cluster that is gone afterwards, whatever happened in it."""
    # Short: Ray's sockets lie below it.
    folder = Path(tempfile.mkdtemp(prefix="nr-", dir="/tmp"))
    ray, dashboard, gateway = free_ports(3)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("RAY_")},
        "NOVARAY_STATE_DIR": str(folder / "state"),
        "NOVARAY_RUN_DIR": str(folder / "run"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "NOVARAY_CONFIG": str(folder / "none.toml"),
        "NOVARAY_LIBVIRT_URI": "test://",
        "NOVARAY_HOST_NAME": "n1",
        "NOVARAY_RAY_PORT": str(ray),
        "NOVARAY_DASHBOARD_PORT": str(dashboard),
        "NOVARAY_LISTEN": f"127.0.0.1:{gateway}",
    }
    cluster = Managed(folder, environment)
    try:
        cluster.manage("up")
        yield cluster
    finally:
        cluster.close()
