"""`python -m bluestone.logs.ship.shipper`: as on a server, from the package."""

from __future__ import annotations

from .main import main

if __name__ == "__main__":
    main()
