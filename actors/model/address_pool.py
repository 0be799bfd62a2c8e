"""Which addresses of a range are free. A call takes the same time, however many there are."""

from collections import deque
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network


class AddressPool:
    """The addresses of one network.

    Free ones are ranges in a queue: taken at its head, given back at its tail. So an address that
    was given back is used again only after all others: neighbours that still know its last holder
    (ARP caches, open connections) have the longest time to forget.
    """

    def __init__(
        self,
        cidr: IPv4Network,
        reserved: Iterable[IPv4Address] = (),
        taken: Iterable[IPv4Address] = (),
    ) -> None:
        self._first = int(cidr.network_address)
        self._last = int(cidr.broadcast_address)
        self._reserved = {self._first, self._last, *map(int, reserved)}
        self._taken = set(map(int, taken))
        self._ranges = deque(self._gaps())
        self._free = sum(last - first + 1 for first, last in self._ranges)

    @property
    def free(self) -> int:
        """How many addresses can still be taken."""
        return self._free

    def take(self) -> IPv4Address | None:
        """An address nobody holds; None when there is none."""
        if not self._ranges:
            return None
        first, last = self._ranges.popleft()
        if first < last:
            self._ranges.appendleft((first + 1, last))
        self._taken.add(first)
        self._free -= 1
        return IPv4Address(first)

    def give_back(self, address: IPv4Address) -> None:
        """Free an address. One that is not taken is no error."""
        number = int(address)
        if number not in self._taken:
            return
        self._taken.remove(number)
        if self._first < number < self._last and number not in self._reserved:
            self._ranges.append((number, number))
            self._free += 1

    def _gaps(self) -> list[tuple[int, int]]:
        """The free ranges. Those above all that is taken come first.

        What lies below was probably held by somebody before this process started, perhaps until a
        moment ago.
        """
        fresh: list[tuple[int, int]] = []
        used_before: list[tuple[int, int]] = []
        newest = max(self._taken, default=self._first)
        begin = self._first
        for used in sorted(self._reserved | self._taken):
            if not self._first <= used <= self._last:
                continue
            if begin < used:
                (fresh if begin > newest else used_before).append((begin, used - 1))
            begin = used + 1
        return fresh + used_before
