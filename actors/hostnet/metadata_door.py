"""One network's metadata service on this host: where it listens, and for whom."""

from typing import TYPE_CHECKING, Final

from actors.hostnet.namespace import Namespace
from actors.hostnet.plan import METADATA

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.hostnet.guest_connections import GuestAt
    from actors.hostnet.metadata_server import MetadataServer

_PORT: Final = 80


class MetadataDoor:
    """A socket in the network's namespace. Not for several threads at once."""

    def __init__(self, server: "MetadataServer", namespace: str, guest_at: "GuestAt") -> None:
        self._server = server
        self._namespace = Namespace(namespace)
        self._guest_at = guest_at
        self._close: Callable[[], None] | None = None
        #: Of the namespace that it listens in.
        self._inode = 0

    def serve(self) -> None:
        """Listen, in the namespace that has the name now.

        Raises:
            HypervisorRefused: Somebody else listens there, or there is no such namespace.
        """
        inode = self._namespace.inode
        if self._close is not None and inode == self._inode:
            return
        self.close()
        listener = self._namespace.listen(str(METADATA), _PORT)
        self._close = self._server.listen(listener, self._guest_at)
        self._inode = inode

    def close(self) -> None:
        """Listen no more."""
        close, self._close = self._close, None
        if close is not None:
            close()
