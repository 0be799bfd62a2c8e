"""Labels of Ray nodes: how actors find their places."""

from typing import Final

#: Which node keeps the record; its value is the node's control UUID.
CONTROL_LABEL: Final = "novaray-control"
#: Which host a node is; its value is the host's UUID.
HOST_LABEL: Final = "novaray-host"
#: What its operator calls the node.
NAME_LABEL: Final = "novaray-name"
#: The version of novaray on the node.
VERSION_LABEL: Final = "novaray-version"
