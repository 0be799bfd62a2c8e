"""Flavors, images and key pairs to messages."""

from typing import Final

from actors.model.flavor import Flavor
from actors.model.image import DiskFormat, Image, ImageStatus
from actors.model.keypair import Keypair
from gateway.rpc.translate.instants import timestamp
from protos.novaray.v1 import flavors_pb2, images_pb2, keypairs_pb2

_IMAGE_STATE: Final = {
    ImageStatus.QUEUED: images_pb2.Image.STATE_QUEUED,
    ImageStatus.ACTIVE: images_pb2.Image.STATE_ACTIVE,
    ImageStatus.DELETED: images_pb2.Image.STATE_DELETED,
}
_DISK_FORMAT: Final = {
    DiskFormat.QCOW2: images_pb2.Image.DISK_FORMAT_QCOW2,
    DiskFormat.RAW: images_pb2.Image.DISK_FORMAT_RAW,
    DiskFormat.AKI: images_pb2.Image.DISK_FORMAT_AKI,
    DiskFormat.ARI: images_pb2.Image.DISK_FORMAT_ARI,
}


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
    )


def image_message(image: Image) -> images_pb2.Image:
    """The image on the wire."""
    return images_pb2.Image(
        name=f"images/{image.id}",
        display_name=image.name,
        state=_IMAGE_STATE[image.status],
        disk_format=_DISK_FORMAT[image.disk_format],
        size_bytes=image.size,
        virtual_size_bytes=image.virtual_size,
        sha256=image.sha256,
        min_disk_gb=image.min_disk_gb,
        min_memory_mb=image.min_memory_mb,
        public=image.public,
        kernel=f"images/{image.kernel_id}" if image.kernel_id else "",
        ramdisk=f"images/{image.ramdisk_id}" if image.ramdisk_id else "",
        properties=image.properties,
        create_time=timestamp(image.created),
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
