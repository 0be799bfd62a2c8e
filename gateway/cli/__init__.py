"""The nova command line: a client of the gRPC front."""
