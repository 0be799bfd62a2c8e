"""What the server says, as tables and as JSON. Pure."""
