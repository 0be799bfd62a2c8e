"""InstanceActor: owns the lifecycle state of its partition of VMs."""
