"""Ray names of the actors that only ``cluster`` knows."""


def gateway_name(node: str) -> str:
    """The Ray name of a node's GatewayActor."""
    return f"gateway/{node}"
