"""The config drive's files (Nova: ``metadata_for_config_drive``)."""

from actors.guestdata.ec2 import ec2_tree
from actors.guestdata.guest import Guest
from actors.guestdata.openstack import openstack_tree


def drive_files(guest: Guest) -> dict[str, bytes]:
    """All files by path. The same guest always gives the same."""
    openstack = openstack_tree(guest, with_password=True)
    return {
        **{f"ec2/{path}": content for path, content in sorted(ec2_tree(guest).items())},
        **{f"openstack/{path}": content for path, content in sorted(openstack.items())},
    }
