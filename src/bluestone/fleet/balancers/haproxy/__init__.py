"""The balancer port on HAProxy."""

from bluestone.fleet.balancers.haproxy.balancer import HAProxy

__all__ = ["HAProxy"]
