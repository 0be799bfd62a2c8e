"""Which addresses of a range are free. A call takes the same time, however many there are."""

from collections import deque
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network

from actors.model.network import AddressRange


class AddressPool:
    """The addresses of one network.

    Free ones are ranges in a queue: taken at its head, given back at its tail. So an address that
    was given back is used again only after all others: neighbours that still know its last holder
    (ARP caches, open connections) have the longest time to forget.

    One that is asked for by name stays in the queue where it is, and is passed over there.
    """

    def __init__(
        self,
        cidr: IPv4Network,
        reserved: Iterable[IPv4Address] = (),
        taken: Iterable[IPv4Address] = (),
        pools: Sequence[AddressRange] = (),
    ) -> None:
        """Know what is free.

        Args:
            cidr: The network's range.
            reserved: Addresses of it that are never given.
            taken: Addresses that somebody has.
            pools: What ``take`` gives of the range; all of it where there are none.
        """
        self._first = int(cidr.network_address)
        self._last = int(cidr.broadcast_address)
        self._reserved = {self._first, self._last, *map(int, reserved)}
        self._pools = [(int(pool.first), int(pool.last)) for pool in pools]
        if not self._pools:
            self._pools = [(self._first, self._last)]
        self._taken = set(map(int, taken))
        self._ranges = deque(self._gaps())
        #: Taken by name while they stand in the queue. What stands there and not here is free.
        self._passed_over: set[int] = set()
        self._free = sum(last - first + 1 for first, last in self._ranges)

    @property
    def free(self) -> int:
        """How many addresses can still be taken."""
        return self._free

    @property
    def held(self) -> int:
        """How many addresses somebody has."""
        return len(self._taken)

    def take(self) -> IPv4Address | None:
        """An address nobody holds; None when there is none."""
        while self._ranges:
            first, last = self._ranges.popleft()
            if first < last:
                self._ranges.appendleft((first + 1, last))
            if first in self._passed_over:
                self._passed_over.remove(first)
                continue
            self._taken.add(first)
            self._free -= 1
            return IPv4Address(first)
        return None

    def take_this(self, address: IPv4Address) -> bool:
        """Whether this address was nobody's, and is taken now. It may lie outside the pools."""
        number = int(address)
        if number in self._taken or not self._may_be_held(number):
            return False
        self._taken.add(number)
        if self._given_by_itself(number):
            self._passed_over.add(number)
            self._free -= 1
        return True

    def give_back(self, address: IPv4Address) -> None:
        """Free an address. One that is not taken is no error."""
        number = int(address)
        if number not in self._taken:
            return
        self._taken.remove(number)
        if not self._given_by_itself(number):
            return
        if number in self._passed_over:
            self._passed_over.remove(number)
        else:
            self._ranges.append((number, number))
        self._free += 1

    def _may_be_held(self, number: int) -> bool:
        return self._first < number < self._last and number not in self._reserved

    def _given_by_itself(self, number: int) -> bool:
        return self._may_be_held(number) and any(
            first <= number <= last for first, last in self._pools
        )

    def _gaps(self) -> list[tuple[int, int]]:
        """The free ranges. Those above all that is taken come first.

        What lies below was probably held by somebody before this process started, perhaps until a
        moment ago.
        """
        fresh: list[tuple[int, int]] = []
        used_before: list[tuple[int, int]] = []
        newest = max(self._taken, default=self._first)
        used = sorted(self._reserved | self._taken)
        for first, last in self._pools:
            begin = first
            for number in used:
                if not first <= number <= last:
                    continue
                if begin < number:
                    (fresh if begin > newest else used_before).append((begin, number - 1))
                begin = number + 1
            if begin <= last:
                (fresh if begin > newest else used_before).append((begin, last))
        return fresh + used_before
