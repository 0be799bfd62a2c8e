"""Use cases: who may do what, within which quota. They know models and ports only."""
