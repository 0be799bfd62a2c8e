"""The networks of one host: bridges, tunnels, addresses, metadata, packet filter."""
