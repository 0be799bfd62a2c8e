"""Ray actors and what they are made of."""
