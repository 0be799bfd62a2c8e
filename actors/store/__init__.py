"""The record in SQLite, behind ports."""
