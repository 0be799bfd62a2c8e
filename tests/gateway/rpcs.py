"""Every method of every service of ours, from the descriptors."""

from dataclasses import dataclass
from typing import Any

import grpc
from google.longrunning import operations_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from protos.novaray.v1 import (
    consoles_pb2,
    diagnostics_pb2,
    flavors_pb2,
    hosts_pb2,
    images_pb2,
    instances_pb2,
    keypairs_pb2,
    networks_pb2,
    versions_pb2,
    volumes_pb2,
)

FILES: tuple[Any, ...] = (
    consoles_pb2.DESCRIPTOR,
    diagnostics_pb2.DESCRIPTOR,
    flavors_pb2.DESCRIPTOR,
    hosts_pb2.DESCRIPTOR,
    images_pb2.DESCRIPTOR,
    instances_pb2.DESCRIPTOR,
    keypairs_pb2.DESCRIPTOR,
    networks_pb2.DESCRIPTOR,
    operations_pb2.DESCRIPTOR,
    versions_pb2.DESCRIPTOR,
    volumes_pb2.DESCRIPTOR,
)


@dataclass(frozen=True)
class Rpc:
    """One method."""

    descriptor: MethodDescriptor

    @property
    def name(self) -> str:
        """``InstanceService.GetInstance``."""
        return f"{self.descriptor.containing_service.name}.{self.descriptor.name}"

    @property
    def path(self) -> str:
        """As HTTP/2 has it."""
        service = self.descriptor.containing_service.full_name
        return f"/{service}/{self.descriptor.name}"

    def request(self, **fields: Any) -> Message:
        """A request."""
        return GetMessageClass(self.descriptor.input_type)(**fields)

    async def call(
        self,
        channel: grpc.aio.Channel,
        request: Message | bytes,
        metadata: tuple[tuple[str, str], ...] = (),
    ) -> Any:
        """Make the call; of a stream, the first request and the first answer."""
        reply = GetMessageClass(self.descriptor.output_type)
        data = request if isinstance(request, bytes) else request.SerializeToString()
        if self.descriptor.client_streaming and self.descriptor.server_streaming:
            both: grpc.aio.StreamStreamMultiCallable[bytes, Message] = channel.stream_stream(
                self.path, response_deserializer=reply.FromString
            )
            return await both(iter([data]), metadata=metadata, timeout=30.0).read()
        if self.descriptor.client_streaming:
            streamed: grpc.aio.StreamUnaryMultiCallable[bytes, Message] = channel.stream_unary(
                self.path, response_deserializer=reply.FromString
            )
            return await streamed(iter([data]), metadata=metadata, timeout=30.0)
        if self.descriptor.server_streaming:
            streaming: grpc.aio.UnaryStreamMultiCallable[bytes, Message] = channel.unary_stream(
                self.path, response_deserializer=reply.FromString
            )
            return await streaming(data, metadata=metadata, timeout=30.0).read()
        unary: grpc.aio.UnaryUnaryMultiCallable[bytes, Message] = channel.unary_unary(
            self.path, response_deserializer=reply.FromString
        )
        return await unary(data, metadata=metadata, timeout=30.0)


RPCS = {
    rpc.name: rpc
    for file in FILES
    for service in file.services_by_name.values()
    for rpc in map(Rpc, service.methods)
}
OPEN = {"VersionService.GetVersion"}
