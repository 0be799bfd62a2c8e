"""What a host step is to those who do it."""

from collections.abc import Awaitable, Callable

from actors.drivers.lanes import Lane
from actors.model.instance import PowerState
from actors.ports.host import HostJob

#: Does a step of a job; what the domain has become, where the step touched it.
Act = Callable[[HostJob, Lane], Awaitable[PowerState | None]]
