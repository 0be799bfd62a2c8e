"""Whether the host's packet filter drops what its bridges forward.

With ``net.bridge.bridge-nf-call-iptables`` (br_netfilter, on by default) frames between two guests
of one bridge pass the FORWARD hook of IPv4. Where something sets its policy to drop, as Docker
does, guests do not hear each other nor the DHCP server. The sysctl cannot be undone for one bridge,
and security groups will need it, so it is the operator who must allow our bridges: ``iptables -I
FORWARD -m physdev --physdev-is-bridged -j ACCEPT``.
"""

import json
import logging
from pathlib import Path
from typing import Final

from actors.hostnet.command import run
from actors.model.errors import HypervisorRefused

_CALLS_FILTER: Final = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")

_log = logging.getLogger(__name__)


def forward_drops() -> str:
    """Which chains may drop bridged frames; empty when none does.

    Only what ``nft`` shows is seen: rules of the older ``iptables-legacy`` are not.
    """
    try:
        if _CALLS_FILTER.read_text().strip() == "0":
            return ""
        found = json.loads(run(("nft", "-j", "list", "chains")))
    except FileNotFoundError:
        return ""  # frames of bridges pass no filter here
    except HypervisorRefused as error:
        _log.info("cannot ask for the packet filter's policy: %s", error)
        return ""
    return ", ".join(dropping_chains(found))


def dropping_chains(found: dict[str, list[dict[str, dict[str, object]]]]) -> list[str]:
    """The chains in nft's answer (libnftables-json(5)) that drop what no rule accepts."""
    chains = (entry["chain"] for entry in found["nftables"] if "chain" in entry)
    return [
        f"chain {chain['name']} of table {chain['family']} {chain['table']} drops what is forwarded"
        for chain in chains
        if chain.get("hook") == "forward"
        and chain.get("policy") == "drop"
        and chain["family"] in ("ip", "inet")
    ]
