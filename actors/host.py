"""HostActor: owns one hypervisor host: its libvirt connection, disks, image cache and bridges."""
