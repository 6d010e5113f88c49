"""What is served by TLS, the same everywhere: never by a version before 1.2, and told in words if it cannot be."""

from __future__ import annotations

import ssl

from uvicorn import Config

from bluestone.model.problem import Problem


def load(config: Config, option: str) -> None:
    """Load a configuration of a server with the certificate that it names. Raises `Problem`.

    `option` is where a person names that file (PEM, a certificate and its key), as it stands in the mend.
    """
    try:
        config.load()
    except (OSError, ValueError) as error:
        raise Problem(
            f"cannot serve with the certificate {config.ssl_certfile}: {error}",
            mend=f"name a PEM file with a certificate and its key: {option}",
        ) from error
    assert config.ssl
    config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
