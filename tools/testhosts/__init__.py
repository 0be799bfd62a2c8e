"""Several hypervisor hosts on one machine, for tests: see docs/test-hosts.md.

This package owns the namespaces, links, files and processes of its hosts, and touches nothing else
on the machine.
"""

from tools.testhosts.errors import HostsError
from tools.testhosts.hosts import TestHost, TestHosts, test_hosts

__all__ = ["HostsError", "TestHost", "TestHosts", "test_hosts"]
