"""ImageActor: owns image bytes and their registry."""
