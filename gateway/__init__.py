"""The way in: client calls are checked here and become commands."""
