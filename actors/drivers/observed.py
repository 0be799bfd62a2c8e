"""What a host has seen its guests become, and what of it their actors do not know yet.

Pure bookkeeping. Each piece of news carries the last operation that the host had served when it
was seen: a newer operation's outcome always wins over it, however late the news arrives.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from actors.model.ids import InstanceId
from actors.model.instance import PowerState


@dataclass(frozen=True, slots=True)
class News:
    """What a guest became under no operation."""

    instance: InstanceId
    power_state: PowerState
    sequence: int


class Observed:
    """Power states by instance."""

    def __init__(self) -> None:
        #: What the instances' actors know.
        self._told: dict[InstanceId, PowerState] = {}
        self._news: dict[InstanceId, News] = {}
        #: The last event of an instance while a job of its own was under way.
        self._during: dict[InstanceId, PowerState] = {}
        #: Of whom is being told: what is said of them meanwhile is news, whatever it is.
        self._telling: set[InstanceId] = set()

    def __len__(self) -> int:
        return len(self._told)

    def of(self, instance: InstanceId) -> PowerState:
        """What is known; NOSTATE where nothing is."""
        return self._told.get(instance, PowerState.NOSTATE)

    def event_during_job(self, instance: InstanceId, state: PowerState) -> None:
        """Libvirt speaks while a job is under way: most likely of what the job does."""
        self._during[instance] = state

    def event(self, instance: InstanceId, state: PowerState, sequence: int) -> bool:
        """Libvirt speaks of a guest that nobody works on; whether it is news."""
        if self._told.get(instance) is state and instance not in self._telling:
            self._news.pop(instance, None)
            return False
        self._news[instance] = News(instance, state, sequence)
        return True

    def job_done(self, instance: InstanceId, state: PowerState, sequence: int) -> bool:
        """A job's answer tells this state; whether the guest became something else meanwhile."""
        last = self._during.pop(instance, state)
        self._news.pop(instance, None)
        self._telling.discard(instance)
        if state is PowerState.NOSTATE:
            self._told.pop(instance, None)
            return False
        self._told[instance] = state
        return self.event(instance, last, sequence)

    def job_broken(self, instance: InstanceId, sequence: int) -> bool:
        """A job ended without an answer; whether the guest became something that is news."""
        last = self._during.pop(instance, None)
        return last is not None and self.event(instance, last, sequence)

    def told(self, news: News) -> None:
        """The instance's actor knows."""
        self._telling.discard(news.instance)
        self._told[news.instance] = news.power_state

    def take(self) -> tuple[News, ...]:
        """All news, which are news no longer: they are being told."""
        news, self._news = self._news, {}
        self._telling = set(news)
        self._told.update({one.instance: one.power_state for one in news.values()})
        return tuple(news.values())

    def adopt(self, states: Mapping[InstanceId, PowerState]) -> None:
        """A comparison has found, and told, these."""
        self._telling.difference_update(states)
        self._told.update(states)
