"""Typed handles on actors: with cluster/spawn.py the only callers of .remote()."""
