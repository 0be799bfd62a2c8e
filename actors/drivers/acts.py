"""What a host step is to those who do it."""

from collections.abc import Awaitable, Callable

from actors.drivers.lanes import Lane
from actors.model.flavor import Size
from actors.model.instance import PowerState
from actors.ports.host import HostJob

#: Does a step of a job; what the domain has become, or has, where the step touched it.
Act = Callable[[HostJob, Lane], Awaitable[PowerState | Size | None]]
