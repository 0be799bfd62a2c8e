"""Composition root: configuration, start-up, joining, health, operator commands."""
