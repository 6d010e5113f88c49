"""What real servers are started from: a tree for containers, a small guest for virtual machines."""

from podman_site import server_root
from qemu_site import guest

__all__ = ["guest", "server_root"]
