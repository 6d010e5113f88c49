"""Package URLs (purl-spec): one string that names a package in any ecosystem. Pure."""

from __future__ import annotations

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:")


def purl(kind: str, namespace: str, name: str, version: str, **qualifiers: str) -> str:
    """A package URL of unencoded parts; `namespace` may have several segments, with `/` between."""
    spaces = "".join(f"{_quoted(segment)}/" for segment in namespace.split("/") if segment)
    at = f"@{_quoted(version)}" if version else ""
    pairs = "&".join(f"{key}={_quoted(value)}" for key, value in sorted(qualifiers.items()) if value)
    return f"pkg:{kind}/{spaces}{_quoted(name)}{at}{'?' + pairs if pairs else ''}"


def _quoted(text: str) -> str:
    if _PLAIN.issuperset(text):
        return text
    return "".join(c if c in _PLAIN else "".join(f"%{byte:02X}" for byte in c.encode(errors="replace")) for c in text)
