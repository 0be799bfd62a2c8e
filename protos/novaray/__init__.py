"""Protocol buffers of novaray, by version."""
