"""The commands of ``nova-manage``: each reads its options, calls the rest, and says what was."""
