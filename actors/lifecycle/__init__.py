"""What a VM may do next: a pure function of its record and an event."""
