"""A small tree with one of everything that a bill knows, and programs made by hand."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from bluestone.image.sbom.go import MAGIC
from jar_corpus import APP, ASM, jar

STATUS = """\
Package: app
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: app-source (1:1.0-2)
Version: 1:1.0-2+b1
Built-Using: golang-1.24 (= 1.24.4-1), libx (= 2)
Static-Built-Using: rust-y (= 3)
Description: an application
 Version: 9 is a line of the description

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: bash
Essential: yes
Status: install ok installed
Architecture: amd64
Version: 5.2.37-2
"""

OS_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n'
COPYRIGHT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: GPL-3+\n"
GO_MODULES = (
    "path\texample.org/app\nmod\texample.org/app\t(devel)\n"
    "dep\tgolang.org/x/Net\tv0.30.0\th1:x\ndep\texample.org/old\tv1.0.0\n=>\texample.org/new\tv1.1.0\th1:y\n"
)
CRATES = b'{"packages":[{"name":"serde","version":"1.0.1"},{"name":"cc","version":"1.1.0","kind":"build"}]}'


def elf(sections: Mapping[bytes, bytes]) -> bytes:
    """A program of 64 bits with these sections, and none that runs."""
    names = b"\0" + b"".join(name + b"\0" for name in [*sections, b".shstrtab"])
    content, rows = b"", [struct.pack("<IIQQQQIIQQ", *[0] * 10)]
    for name, data in [*sections.items(), (b".shstrtab", names)]:
        place = (64 + len(content), len(data))
        rows.append(struct.pack("<IIQQQQIIQQ", names.index(b"\0" + name + b"\0") + 1, 1, 0, 0, *place, 0, 0, 1, 0))
        content += data
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    fields = (2, 62, 1, 0, 0, 64 + len(content), 0, 64, 56, 0, 64, len(rows), len(rows) - 1)
    return ident + struct.pack("<HHIQQQIHHHHHH", *fields) + content + b"".join(rows)


def go_section(release: str = "go1.24.4", modules: str = GO_MODULES) -> bytes:
    """The section in which Go's linker writes what a program is made of."""
    return (
        MAGIC
        + b"\x08\x02"
        + bytes(16)
        + _counted(release.encode())
        + _counted(b"0" * 16 + modules.encode() + b"1" * 16)
    )


def _counted(data: bytes) -> bytes:
    length, head = len(data), b""
    while length > 0x7F:
        head += bytes([length & 0x7F | 0x80])
        length >>= 7
    return head + bytes([length]) + data


def plant(root: Path) -> None:
    """Make the tree."""
    put(root, "usr/lib/os-release", OS_RELEASE)
    put(root, "var/lib/dpkg/status", STATUS)
    owned = ("/.", "/usr", "/usr/bin/app", "/usr/share/app/package.json", "/usr/share/java/app.jar", "/lib/app/one")
    put(root, "var/lib/dpkg/info/app:amd64.list", "".join(f"{path}\n" for path in owned))
    put(root, "var/lib/dpkg/info/bash.list", "/usr/bin/bash\n/usr/bin/sh\n")
    put(root, "var/lib/dpkg/diversions", "/usr/bin/sh\n/usr/bin/sh.distrib\ndash\n")
    put(root, "usr/share/doc/app/copyright", COPYRIGHT)
    (root / "usr/share/doc/bash").symlink_to("app")
    (root / "lib").symlink_to("usr/lib")
    put(root, "usr/lib/app/one", "owned by its old name")
    put(root, "usr/bin/bash", "#!")
    put(root, "usr/bin/sh.distrib", "#!")
    put(root, "usr/bin/sh", "#! of another package's")
    put(root, "usr/bin/app", elf({b".go.buildinfo": go_section()}), 0o755)
    put(root, "usr/local/lib/x.so.1", elf({b".dep-v0": zlib.compress(CRATES)}))
    put(root, "usr/share/app/package.json", '{"name":"@scope/app","version":"1.0.0","license":"MIT"}')
    put(
        root,
        "srv/package-lock.json",
        '{"packages":{"node_modules/a":{"version":"1"},"node_modules/b":{"version":"2"}}}',
    )
    put(root, "srv/node_modules/b/package.json", '{"name":"b","version":"2","license":"(MIT OR Apache-2.0)"}')
    put(root, "srv/node_modules/b/package-lock.json", '{"packages":{"node_modules/of-its-author":{"version":"1"}}}')
    put(root, "srv/node_modules/c/package.json", "no JSON")
    put(root, "srv/Cargo.lock", '[[package]]\nname = "rand"\nversion = "0.8.5"\n')
    put(
        root,
        "srv/venv/My_Pkg-2.0.dist-info/METADATA",
        "Name: My_Pkg\nVersion: 2.0\nLicense-Expression: MIT\n\nName: no",
    )
    put(root, "srv/source/PKG-INFO", "Name: not-installed\nVersion: 1\n")
    put(root, "srv/plain-1.egg-info", "Name: plain\nVersion: 1\nClassifier: License :: OSI Approved :: MIT License\n")
    put(root, "srv/w.whl", jar({"w-1.dist-info/METADATA": b"Name: w\nVersion: 1\n"}))
    put(root, "srv/shop.war", jar({**APP, "WEB-INF/lib/asm.jar": jar(ASM), "WEB-INF/lib/bad.jar": b"bad"}))
    put(root, "usr/share/java/app.jar", jar({}))
    repository = root / "usr/share/maven-repo/org/x/app/1.0"
    repository.mkdir(parents=True)
    (repository / "app-1.0.jar").symlink_to("../../../../../java/app.jar")
    (root / "srv/leads-out.jar").symlink_to("/etc/passwd")
    (root / "srv" / "naïve file").write_text("x")
    bad = root.as_posix().encode() + b"/srv/\xff"
    Path(bad.decode(errors="surrogateescape")).write_text("a name that is no text")


def put(root: Path, path: str, content: str | bytes, mode: int = 0o644) -> None:
    """Write a file and the directories above it."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    file.chmod(mode)
