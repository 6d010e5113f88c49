"""A tree from which real servers are started."""

from podman_site import server_root

__all__ = ["server_root"]
