"""Records to messages and requests to commands. Pure; nothing here asks anybody anything."""
