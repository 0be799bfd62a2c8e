"""Durable operations: the engine that runs steps and undoes them, and one file per operation."""
