"""SchedulerActor: owns the host table and every claim on a host's resources."""
