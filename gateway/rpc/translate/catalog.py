"""Flavors, images and key pairs to messages."""

from actors.model.flavor import Flavor
from actors.model.keypair import Keypair
from gateway.rpc.translate.instants import timestamp
from protos.novaray.v1 import flavors_pb2, keypairs_pb2


def flavor_message(flavor: Flavor) -> flavors_pb2.Flavor:
    """The flavor on the wire."""
    return flavors_pb2.Flavor(
        name=f"flavors/{flavor.id}",
        display_name=flavor.name,
        vcpus=flavor.vcpus,
        memory_mb=flavor.memory_mb,
        disk_gb=flavor.disk_gb,
        ephemeral_gb=flavor.ephemeral_gb,
        swap_mb=flavor.swap_mb,
        rxtx_factor=flavor.rxtx_factor,
        public=flavor.is_public,
        description=flavor.description,
        extra_specs=flavor.extra_specs,
    )


def keypair_message(keypair: Keypair) -> keypairs_pb2.Keypair:
    """The key pair on the wire."""
    return keypairs_pb2.Keypair(
        name=f"users/{keypair.user}/keypairs/{keypair.name}",
        display_name=keypair.name,
        type=keypairs_pb2.Keypair.TYPE_SSH,
        public_key=keypair.public_key,
        fingerprint=keypair.fingerprint,
        create_time=timestamp(keypair.created),
    )
