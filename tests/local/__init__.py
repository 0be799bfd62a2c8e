"""A cluster in one process: the real actors, SQLite and libvirt's test driver, without Ray."""
