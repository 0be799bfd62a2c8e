"""Identifiers, records, commands and errors: frozen values that every other part speaks in."""
