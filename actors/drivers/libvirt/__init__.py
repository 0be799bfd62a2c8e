"""libvirt: ``qemu:///system`` and libvirt's own ``test://`` driver, by the same code."""
