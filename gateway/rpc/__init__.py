"""The gRPC front: services, interceptors, translation."""
