"""Version 1 of the wire contract, with the code generated from it."""
