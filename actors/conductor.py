"""ConductorActor: owns the SQLite file; nobody else writes to it."""
