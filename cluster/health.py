"""Whether a gateway serves, asked as its clients ask: over TLS."""

import time
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cluster.credentials import Credentials
from cluster.trouble import Trouble

_POLL_SECONDS: Final = 0.1
_CALL_SECONDS: Final = 2.0


def is_serving(credentials: Credentials) -> str:
    """Empty when it serves; else why it does not."""
    trust = grpc.ssl_channel_credentials(Path(credentials.ca).read_bytes())
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.secure_channel(credentials.endpoint, trust, options) as channel:
        try:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=_CALL_SECONDS)
        except grpc.RpcError as error:
            details: Any = getattr(error, "details", error.__str__)
            return str(details())
    serving = answer.status == health_pb2.HealthCheckResponse.SERVING
    return "" if serving else "it says that it does not serve"


def wait_until_serving(credentials: Credentials, seconds: float, logs: Path) -> None:
    """Wait until the gateway serves.

    Raises:
        Trouble: It does not within this time.
    """
    deadline = time.monotonic() + seconds
    while why := is_serving(credentials):
        if time.monotonic() > deadline:
            raise Trouble(
                f"The gateway at {credentials.endpoint} does not serve: {why}.",
                f"The actors' logs are in {logs}.",
            )
        time.sleep(_POLL_SECONDS)  # noqa: TID251 - an operator's command, not an actor
