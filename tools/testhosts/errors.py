"""What goes wrong with test hosts, said so that the reader can mend it."""


class HostsError(Exception):
    """A command on test hosts cannot be done; the message says why and what to do."""
