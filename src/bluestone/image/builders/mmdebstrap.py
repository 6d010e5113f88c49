"""mmdebstrap as the engine: as root, or rootless in a user namespace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bluestone.host.commands import require, run
from bluestone.image.archive import ResolvedBase
from bluestone.image.child import follow
from bluestone.image.normalise import EPOCH
from bluestone.image.sandbox import enclosed, require_namespaces
from bluestone.model.problem import Problem

LIMIT = 1800.0
"""Seconds; the packages may come over a slow line."""

PASSED = ("PATH", "HOME", "http_proxy", "https_proxy", "no_proxy")
"""What mmdebstrap gets of this process's environment."""

STEPS = {
    "I: running apt-get update": "reading the archive's lists",
    "I: downloading packages": "downloading packages",
    "I: extracting archives": "extracting packages",
    "I: installing essential packages": "installing essential packages",
    "I: installing remaining packages": "installing the other packages",
    "I: creating tarball": "keeping the base",
}
"""How mmdebstrap says where it is, and how that is told to people."""

UNREACHABLE = re.compile(
    r"Could not (connect|resolve)|Connection (failed|refused|timed out)|Temporary failure resolving|"
    r"Unable to connect|Cannot initiate the connection|No route to host|Network is unreachable"
)
UNSIGNED = re.compile(
    r"NO_PUBKEY|EXPKEYSIG|BADSIG|is not signed|Missing key|no signature|signatures? .*(invalid|verif)"
)


class Mmdebstrap:
    """The engine port on mmdebstrap."""

    name = "mmdebstrap"

    def version(self) -> str:
        """As `mmdebstrap --version` says it. Raises `MissingTool`."""
        return run(["mmdebstrap", "--version"], timeout=30).strip()

    def bootstrap(
        self,
        base: ResolvedBase,
        packages: Sequence[str],
        destination: Path,
        progress: Callable[[str], None],
    ) -> None:
        """Write a tar of the base with these packages to `destination`. Raises `Problem`."""
        require("mmdebstrap")
        require_namespaces()
        options = destination.with_name("apt.conf")
        options.write_text(apt_options(host_proxies()))

        def hear(line: str) -> None:
            for said, told in STEPS.items():
                if line.startswith(said):
                    progress(told)

        ending = follow(
            enclosed(command(base, packages, destination, options)),
            hear,
            timeout=LIMIT,
            stdin=sources_list(base).encode(),
            environment=environment(destination.parent, os.environ),
        )
        if ending.status is None:
            raise Problem(
                f"mmdebstrap did not end within {LIMIT:g} s{ending.quoted()}",
                mend="try again when the archive answers faster, or name another in image.base",
            )
        if ending.status:
            raise explain(ending.tail, base)


def command(base: ResolvedBase, packages: Sequence[str], target: Path, options: Path) -> list[str]:
    """The argument list that writes the tar; the sources come by standard input."""
    return [
        "mmdebstrap",
        # For root (of a namespace or not) this mode adds namespaces for mounts and processes to mode "root".
        "--mode=unshare",
        "--variant=minbase",
        "--format=tar",
        f"--architectures={base.architecture}",
        f"--keyring={base.keyring}",
        f"--aptopt={options}",
        f"--include={','.join(packages)}",
        base.suite,
        str(target),
        "-",
    ]


def sources_list(base: ResolvedBase) -> str:
    """The archive in sources.list(5)'s one-line format."""
    lines = (f"deb {source.uri} {source.suite} {' '.join(source.components)}\n" for source in base.sources)
    return "".join(lines)


def apt_options(proxies: Iterable[str]) -> str:
    """What apt is told: little patience with an archive that does not answer, and the host's proxies."""
    lines = [
        'Acquire::Languages "none";',
        'Acquire::Retries "2";',
        'Acquire::http::Timeout "30";',
        'Acquire::https::Timeout "30";',
        *proxies,
    ]
    return "".join(f"{line}\n" for line in lines)


def host_proxies() -> list[str]:
    """The lines of this host's apt configuration that name proxies; none if apt cannot tell."""
    if shutil.which("apt-config") is None:
        return []
    done = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False, timeout=30)
    return re.findall(r"^Acquire::https?::Proxy\S* \".+\";$", done.stdout, re.MULTILINE)


def environment(scratch: Path, ours: dict[str, str] | os._Environ[str]) -> dict[str, str]:
    """What mmdebstrap knows of the world. `scratch` is where it makes the tree."""
    known = {name: ours[name] for name in PASSED if name in ours}
    # On Debian, sbin is not on the path of those who are not root, but dpkg needs what is there.
    path = known.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    # With a date given, compiled Python is checked by content: the times of its sources may then be settled.
    dated = {"SOURCE_DATE_EPOCH": str(EPOCH)}
    return known | dated | {"PATH": path, "LC_ALL": "C.UTF-8", "TMPDIR": str(scratch)}


def explain(said: Sequence[str], base: ResolvedBase) -> Problem:
    """What mmdebstrap's failure means to the person who declared the image."""
    text = "\n".join(said)
    where = ", ".join(sorted({source.uri for source in base.sources}))
    if lost := _lost_packages(text):
        return Problem(
            f"{base.distribution} {base.suite} has no package called {' or '.join(lost)} ({where})",
            mend=f"correct image.packages; to find the name: apt-cache search {lost[0]}",
        )
    if "No space left on device" in text:
        return Problem(
            "the disk is full: the base could not be made",
            mend="free some space, or set BLUESTONE_HOME to a directory on a larger disk",
        )
    if UNREACHABLE.search(text):
        return Problem(
            f"the archive cannot be reached: {where}{_tail(said)}",
            mend="look at the network, or name another archive in image.base",
        )
    if missing := re.search(r"The repository '(\S+) (\S+) Release' does(?: not|n't) have a Release file", text):
        return Problem(
            f"the archive {missing[1]} has no suite called {missing[2]}",
            mend="correct image.base, or name an archive that has it",
        )
    if UNSIGNED.search(text):
        return Problem(
            f"the archive's signature cannot be checked with {base.keyring}{_tail(said)}",
            mend=f"sudo apt-get install --only-upgrade {base.distribution}-archive-keyring, if you trust the archive",
        )
    return Problem(f"the base could not be made{_tail(said)}", mend="mend what it says and try again")


def _lost_packages(text: str) -> list[str]:
    found = re.findall(r"Unable to locate package (\S+)", text)
    found += re.findall(r"Package '([^']+)' has no installation candidate", text)
    return sorted(set(found))


def _tail(said: Sequence[str], lines: int = 12) -> str:
    """The last lines that complain, or the last ones at all."""
    complaints = [line for line in said if line.startswith(("E:", "W:", "Err:", "dpkg:"))]
    kept = (complaints or [line for line in said if line.strip() and not line.startswith("I: ")])[-lines:]
    return "".join(f"\n     {line}" for line in kept)
