"""NetworkActor: owns networks, subnets, ports, addresses, security groups and routers."""
