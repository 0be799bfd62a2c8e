"""Typed handles on the actors: each looks like the port it stands for."""
