"""Java archives within each other, made by code, and what is truly in them: how well are they told apart?"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

Members = Mapping[str, bytes]
Truth = tuple[str, str, str]
"""Name, version, and the path below the file's own (`!x.jar`), which is empty for itself."""


@dataclass(frozen=True)
class Case:
    """A file, the artifacts in it, and the paths below it of what nobody could tell."""

    title: str
    path: str
    data: Callable[[], bytes]
    truth: frozenset[Truth] = frozenset()
    unknown: frozenset[str] = field(default_factory=frozenset)


def jar(members: Members, method: int = zipfile.ZIP_DEFLATED, before: bytes = b"", comment: bytes = b"") -> bytes:
    """An archive of these members, of one date."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.comment = comment
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2001, 9, 9, 0, 0, 0)), data, method)
    return before + buffer.getvalue()


def pom(group: str, artifact: str, version: str) -> dict[str, bytes]:
    """What Maven leaves in an archive."""
    text = f"#Created by Apache Maven\nversion={version}\ngroupId={group}\nartifactId={artifact}\n"
    return {f"META-INF/maven/{group}/{artifact}/pom.properties": text.encode()}


def pom_xml(body: str, group: str = "org.x", artifact: str = "a") -> dict[str, bytes]:
    """A pom.xml alone."""
    text = f'<?xml version="1.0"?>\n<project xmlns="http://maven.apache.org/POM/4.0.0">{body}</project>'
    return {f"META-INF/maven/{group}/{artifact}/pom.xml": text.encode()}


def manifest(**attributes: str) -> dict[str, bytes]:
    """A manifest; `_` in a name stands for `-`."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in attributes.items()]
    return {"META-INF/MANIFEST.MF": "\r\n".join(["Manifest-Version: 1.0", *lines, "", ""]).encode()}


CODE = {"org/x/Main.class": b"\xca\xfe\xba\xbe" * 8}
LANG = pom("org.apache.commons", "commons-lang3", "3.17.0")
GUAVA = pom("com.google.guava", "guava", "33.0.0-jre")
ASM = pom("org.ow2.asm", "asm", "9.7")
LANG_IS = ("org.apache.commons:commons-lang3", "3.17.0")
GUAVA_IS = ("com.google.guava:guava", "33.0.0-jre")
ASM_IS = ("org.ow2.asm:asm", "9.7")
APP = pom("com.example", "app", "1.0")
APP_IS = ("com.example:app", "1.0")


def nested(depth: int) -> bytes:
    """commons-lang3 in a jar in a jar ..."""
    data = jar(LANG)
    for level in range(depth):
        data = jar({f"level{level}.jar": data})
    return data


def nested_unknown(depth: int) -> frozenset[str]:
    """The paths of the jars around it, none of which says what it is."""
    names = [f"!level{level}.jar" for level in reversed(range(depth))]
    return frozenset("".join(names[:count]) for count in range(depth))


def nested_path(depth: int) -> str:
    """Where commons-lang3 is."""
    return "".join(f"!level{level}.jar" for level in reversed(range(depth)))


def lying(size: int) -> bytes:
    """An archive with a nested one that has more in it than the archive says."""
    data = jar({**CODE, "lib/bomb-1.0.jar": b"\0" * (1 << 20)})
    at = data.rfind(b"PK\1\2")
    return data[: at + 24] + struct.pack("<L", size) + data[at + 28 :]


def encrypted() -> bytes:
    """An archive whose nested one is marked as encrypted."""
    data = bytearray(jar({"lib/secret-1.0.jar": jar(LANG)}))
    data[data.rfind(b"PK\1\2") + 8] |= 1
    return bytes(data)


def _case(
    title: str,
    path: str,
    data: bytes | Callable[[], bytes],
    truth: Iterable[Truth] = (),
    unknown: Iterable[str] = (),
) -> Case:
    return Case(title, path, data if callable(data) else lambda: data, frozenset(truth), frozenset(unknown))


CASES = (
    _case("its own properties", "/srv/commons-lang3-3.17.0.jar", jar({**LANG, **CODE}), {(*LANG_IS, "")}),
    _case("named without a version", "/srv/commons-lang3.jar", jar(LANG), {(*LANG_IS, "")}),
    _case("renamed", "/app/app.jar", jar(LANG), {(*LANG_IS, "")}),
    _case("stored", "/srv/guava-33.0.0-jre.jar", jar(GUAVA, zipfile.ZIP_STORED), {(*GUAVA_IS, "")}),
    _case("in capitals", "/srv/GUAVA.JAR", jar(GUAVA), {(*GUAVA_IS, "")}),
    _case("a script before it", "/srv/app-1.0.jar", jar(APP, before=b"#!/bin/sh\nexec java\n"), {(*APP_IS, "")}),
    _case("a comment after it", "/srv/app-1.0.jar", jar(APP, comment=b"PK\5\6 made by hand"), {(*APP_IS, "")}),
    _case(
        "a pom.xml with all",
        "/srv/a-2.0.jar",
        jar(pom_xml("<groupId>org.x</groupId><artifactId>a</artifactId><version>2.0</version>")),
        {("org.x:a", "2.0", "")},
    ),
    _case(
        "a pom.xml with a parent",
        "/srv/a.jar",
        jar(
            pom_xml(
                "<parent><groupId>org.x</groupId><artifactId>p</artifactId><version>7</version></parent>"
                "<artifactId>a</artifactId>"
            )
        ),
        {("org.x:a", "7", "")},
    ),
    _case(
        "a pom.xml with a property",
        "/srv/a.jar",
        jar(
            pom_xml(
                "<groupId>org.x</groupId><artifactId>a</artifactId><version>${revision}</version>"
                "<properties><revision>3.1</revision></properties>"
            )
        ),
        {("org.x:a", "3.1", "")},
    ),
    _case(
        "a pom.xml with a property that nobody sets",
        "/srv/a.jar",
        jar(pom_xml("<groupId>org.x</groupId><artifactId>a</artifactId><version>${revision}</version>")),
        unknown={""},
    ),
    _case(
        "a pom.xml with entities",
        "/srv/a.jar",
        jar(
            {
                "META-INF/maven/g/a/pom.xml": b'<!DOCTYPE p [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><project>'
                b"<groupId>g</groupId><artifactId>a</artifactId><version>&b;</version></project>"
            }
        ),
        unknown={""},
    ),
    _case(
        "properties that say nothing, beside a pom.xml",
        "/srv/a-2.0.jar",
        jar(
            {"META-INF/maven/org.x/a/pom.properties": b"# nothing\n"}
            | pom_xml("<groupId>org.x</groupId><artifactId>a</artifactId><version>2.0</version>")
        ),
        {("org.x:a", "2.0", "")},
    ),
    _case(
        "shaded, its own named by the file",
        "/srv/app-1.0.jar",
        jar({**LANG, **APP, **GUAVA}),
        {(*APP_IS, ""), (*LANG_IS, ""), (*GUAVA_IS, "")},
    ),
    _case(
        "shaded by Gradle: no pom of its own",
        "/srv/tool-2.3.jar",
        jar({**GUAVA, **ASM}),
        {("tool", "2.3", ""), (*GUAVA_IS, ""), (*ASM_IS, "")},
    ),
    _case("one shaded, no pom of its own", "/srv/tool-2.3.jar", jar(ASM), {("tool", "2.3", ""), (*ASM_IS, "")}),
    _case("shaded and renamed", "/app/app.jar", jar({**GUAVA, **ASM}), {(*GUAVA_IS, ""), (*ASM_IS, "")}),
    _case(
        "shaded twice in two versions",
        "/srv/app-1.0-all.jar",
        jar(
            {
                **APP,
                **ASM,
                "META-INF/maven/org.ow2.asm/old/pom.properties": b"groupId=org.ow2.asm\nartifactId=asm\nversion=5.0",
            }
        ),
        {(*APP_IS, ""), (*ASM_IS, ""), ("org.ow2.asm:asm", "5.0", "")},
    ),
    _case(
        "a classifier after the version",
        "/srv/netty-4.1.100.Final-linux-x86_64.jar",
        jar(CODE),
        {("netty", "4.1.100.Final", "")},
    ),
    _case("by name alone", "/srv/jsr305-3.0.2.jar", jar(CODE), {("jsr305", "3.0.2", "")}),
    _case("by name, a version with a word", "/srv/guava-33.0.0-jre.jar", jar(CODE), {("guava", "33.0.0-jre", "")}),
    _case("by name, a snapshot", "/srv/x-core-1.2-SNAPSHOT.jar", jar(CODE), {("x-core", "1.2-SNAPSHOT", "")}),
    _case(
        "by name, digits in the name",
        "/srv/log4j-1.2-api-2.20.0.jar",
        jar({**CODE, **pom("org.apache.logging.log4j", "log4j-1.2-api", "2.20.0")}),
        {("org.apache.logging.log4j:log4j-1.2-api", "2.20.0", "")},
    ),
    _case("by manifest", "/srv/x.jar", jar(manifest(Implementation_Version="1.4")), {("x", "1.4", "")}),
    _case("by a bundle's manifest", "/srv/x.jar", jar(manifest(Bundle_Version='"1.4.1"')), {("x", "1.4.1", "")}),
    _case(
        "by a manifest with a line that goes on",
        "/srv/x.jar",
        jar(
            {
                "META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\r\nImplementation-Version: 1.\r\n 4.2\r\n\r\n"
                b"Name: a\r\nImplementation-Version: 9\r\n"
            }
        ),
        {("x", "1.4.2", "")},
    ),
    _case(
        "a manifest with a specification's version",
        "/srv/x.jar",
        jar(manifest(Specification_Version="3.1")),
        unknown={""},
    ),
    _case("a manifest with an unset version", "/srv/x.jar", jar(manifest(Implementation_Version="${v}")), unknown={""}),
    _case("nothing at all", "/srv/x.jar", jar(CODE), unknown={""}),
    _case("empty", "/srv/x.jar", jar({}), unknown={""}),
    _case(
        "in a repository of Maven's",
        "/root/.m2/repository/org/x/deep/a/1.0/a-1.0.jar",
        jar(CODE),
        {("org.x.deep:a", "1.0", "")},
    ),
    _case(
        "in a repository, with a classifier",
        "/root/.m2/repository/org/x/a/1.0/a-1.0-special.jar",
        jar(CODE),
        {("org.x:a", "1.0", "")},
    ),
    _case(
        "jar in war",
        "/srv/shop-1.0.war",
        jar({**pom("com.example", "shop", "1.0"), "WEB-INF/lib/asm-9.7.jar": jar(ASM)}),
        {("com.example:shop", "1.0", ""), (*ASM_IS, "!WEB-INF/lib/asm-9.7.jar")},
    ),
    _case(
        "jar in war in ear",
        "/srv/all.ear",
        jar({"shop.war": jar({"WEB-INF/lib/guava.jar": jar(GUAVA)}), "lib/asm-9.7.jar": jar(ASM)}),
        {(*GUAVA_IS, "!shop.war!WEB-INF/lib/guava.jar"), (*ASM_IS, "!lib/asm-9.7.jar")},
        {"", "!shop.war"},
    ),
    _case(
        "Spring Boot: jars stored in a jar",
        "/srv/app-1.0.jar",
        jar({**APP, "BOOT-INF/lib/asm-9.7.jar": jar(ASM), "BOOT-INF/lib/x-2.jar": jar(CODE)}, zipfile.ZIP_STORED),
        {(*APP_IS, ""), (*ASM_IS, "!BOOT-INF/lib/asm-9.7.jar"), ("x", "2", "!BOOT-INF/lib/x-2.jar")},
    ),
    _case(
        "a shaded jar in a war",
        "/srv/shop-1.0.war",
        jar({"WEB-INF/lib/app-1.0.jar": jar({**APP, **LANG})}),
        {("shop", "1.0", ""), (*APP_IS, "!WEB-INF/lib/app-1.0.jar"), (*LANG_IS, "!WEB-INF/lib/app-1.0.jar")},
    ),
    _case(
        "classes of a war that were once a jar",
        "/srv/shop.war",
        jar({f"WEB-INF/classes/{name}": data for name, data in ASM.items()}),
        {(*ASM_IS, "")},
    ),
    _case(
        "a resource adapter", "/srv/ra-1.0.rar", jar({"asm.jar": jar(ASM)}), {("ra", "1.0", ""), (*ASM_IS, "!asm.jar")}
    ),
    _case("something else called .rar", "/srv/holiday.rar", b"Rar!\x1a\x07\x01\x00" + b"\0" * 90),
    _case("three deep", "/srv/x.jar", lambda: nested(3), {(*LANG_IS, nested_path(3))}, set(nested_unknown(3))),
    _case("eight deep", "/srv/x.jar", lambda: nested(8), {(*LANG_IS, nested_path(8))}, set(nested_unknown(8))),
    _case("nine deep: too deep", "/srv/x.jar", lambda: nested(9), unknown={*nested_unknown(9), nested_path(9)}),
    _case("cut short", "/srv/asm-9.7.jar", jar(ASM)[:-30], unknown={""}),
    _case("no archive", "/srv/asm-9.7.jar", b"<html>404 Not Found</html>", unknown={""}),
    _case("no bytes", "/srv/asm-9.7.jar", b"", unknown={""}),
    _case(
        "a damaged one within",
        "/srv/app-1.0.war",
        jar({**APP, "WEB-INF/lib/bad.jar": b"PK\3\4 not really"}),
        {(*APP_IS, "")},
        {"!WEB-INF/lib/bad.jar"},
    ),
    _case("an encrypted one within", "/srv/app-1.0.jar", encrypted, {("app", "1.0", "")}, {"!lib/secret-1.0.jar"}),
    _case(
        "one that unpacks to more than it says",
        "/srv/app-1.0.jar",
        lambda: lying(10),
        {("app", "1.0", "")},
        {"!lib/bomb-1.0.jar"},
    ),
    _case(
        "one that says it is enormous",
        "/srv/app-1.0.jar",
        lambda: lying(0xFFFFFFF0),
        {("app", "1.0", "")},
        {"!lib/bomb-1.0.jar"},
    ),
    _case(
        "properties with line ends of Windows and spaces",
        "/srv/a.jar",
        jar({"META-INF/maven/org.x/a/pom.properties": b"groupId = org.x\r\nartifactId = a\r\nversion = 1.5\r\n"}),
        {("org.x:a", "1.5", "")},
    ),
    _case(
        "properties with a version that is none",
        "/srv/a.jar",
        jar({"META-INF/maven/org.x/a/pom.properties": b"groupId=org.x\nartifactId=a\nversion=${project.version}\n"}),
        unknown={""},
    ),
)
"""What can be identified must be; what cannot must be said, and nothing may be claimed that is not there."""
