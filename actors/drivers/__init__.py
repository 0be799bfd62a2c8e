"""Adapters to hypervisors."""
