"""The gRPC channel: TLS by our CA, and what is repeated without asking.

Every call may be repeated: reads change nothing, and what changes something carries a request id,
which the server answers with the first try's operation.
"""

import json
import os
from typing import Final

from gateway.cli.settings import Connection, read_ca

# gRPC's own log lines would stand between ours. Read when grpc is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc

_SERVICES: Final = (
    "novaray.v1.InstanceService",
    "novaray.v1.ConsoleService",
    "novaray.v1.DiagnosticsService",
    "novaray.v1.FlavorService",
    "novaray.v1.ImageService",
    "novaray.v1.HostService",
    "novaray.v1.KeypairService",
    "novaray.v1.VersionService",
    "google.longrunning.Operations",
)

#: AIP-194: only UNAVAILABLE is repeated. Four tries last about a second: a gateway that restarts is
#: met, a gateway that is down is told soon.
SERVICE_CONFIG: Final = {
    "methodConfig": [
        {
            "name": [{"service": service} for service in _SERVICES],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        },
        # These go on where they were cut off, and not from where they began.
        {
            "name": [
                {"service": "novaray.v1.ImageService", "method": method}
                for method in ("UploadImage", "DownloadImage")
            ]
        },
    ]
}


def open_channel(connection: Connection) -> grpc.Channel:
    """A channel; it connects with the first call.

    Raises:
        Failure: The CA file cannot be read.
    """
    return grpc.secure_channel(
        connection.endpoint,
        grpc.ssl_channel_credentials(root_certificates=read_ca(connection.ca)),
        options=[
            ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
            # A gateway is spoken to directly; a proxy for the web would only be in the way.
            ("grpc.enable_http_proxy", 0),
            # A gateway that has gone without a word is noticed while a call waits for it.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        ],
    )
