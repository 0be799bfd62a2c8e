"""Builds the guest image: a tiny Linux that boots in a few seconds under plain emulation.

`docs/guest-image.md` says what the guest does and how the build is put together.
"""
