"""The cards that an instance is made with: on which networks, with which addresses."""

from actors.model.errors import Invalid, NotFound
from actors.model.ids import InstanceId, NetworkId, ProjectId
from actors.model.network import CARD_LIMIT, WantedCard
from actors.ports.network import Networks, PortRequest
from gateway.app.addresses import address_if_any, field_invalid


async def cards_of(
    networks: Networks,
    project: ProjectId,
    instance: InstanceId,
    wanted: tuple[tuple[NetworkId, str], ...],
) -> tuple[WantedCard, ...]:
    """The cards that a new instance asks for: a network and an address, or none, for each.

    Raises:
        Invalid: A network is not there or not for the project, or an address not one of it.
        Conflict: An address is somebody's.
    """
    if not wanted:
        return ()
    if len(wanted) > CARD_LIMIT:
        raise field_invalid("networks", f"must be at most {CARD_LIMIT}")
    cards = tuple(
        WantedCard(network=network, address=address_if_any(f"networks[{n}].address", address))
        for n, (network, address) in enumerate(wanted)
    )
    try:
        # The boot asks again, and has the last word. Here it is a question of saying it at once.
        await networks.check(PortRequest(instance, project, 0, cards))
    except NotFound as error:
        missing = error.metadata.get("network")
        at = next(n for n, card in enumerate(cards) if card.network == missing)
        raise Invalid(
            error.message,
            error.reason,
            error.detail,
            {f"networks[{at}].network": "could not be found"},
        ) from None
    return cards
