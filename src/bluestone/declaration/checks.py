"""Finds what is impossible though each key by itself is right, and what is not on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from bluestone.declaration import moments
from bluestone.declaration.check_hours import check_hours
from bluestone.declaration.check_room import check_room
from bluestone.declaration.convert import place_of
from bluestone.declaration.fault import Fault, Finding, KeyPath, quoted
from bluestone.declaration.keys import (
    ArchiveTable,
    CostTable,
    DeclarationTable,
    FileTable,
    GroupTable,
    ImageTable,
    NotifyTable,
    PatchTable,
    RolloutTable,
)
from bluestone.declaration.texts.paths import normal

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - addresses that are compared, not bound
_OWN_KERNEL = "qemu"
"""The provider whose servers boot the kernel of their image."""

_KERNEL = {"debian": "linux-image-cloud-amd64", "ubuntu": "linux-image-virtual"}
"""The package of a kernel for virtual machines, by distribution."""

_PATCH: KeyPath = ("patch",)
_OWN_ARCHIVES = ("kept", "local", "main", "security")
_KEEP_SURGE = "blue-green always starts a whole new set beside the old one"


def check(table: DeclarationTable, directory: Path) -> Iterator[Finding]:
    """Everything that is wrong. `directory` is the absolute one that relative paths begin in."""
    yield from _image(table.image, directory)
    for name, group in table.servers.items():
        at: KeyPath = ("servers", name)
        yield from _rollout(group, (*at, "rollout"))
        yield from _twice(group.on_drift.ignore, (*at, "on_drift", "ignore"))
        yield from _health(group, at)
        yield from _names(group, at)
        yield from _volumes(group, table.image, at)
        yield from _virtual_machine(group, table.image, at)
        yield from check_room(group, at)
    yield from _listening(table.servers)
    yield from check_hours(table.servers, directory)
    if table.cost:
        yield from _cost(table.cost, table.servers, directory)
    if table.state.password and not table.state.store:
        fault = Fault("there is a password, and no store that it is for", "add store, or leave the password out")
        yield Finding(("state", "password"), fault, (("state", "store"),))
    yield from _notify(table.notify)
    yield from _patch(table.patch, {*table.servers}, table.image, directory)


def _cost(cost: CostTable, groups: Mapping[str, GroupTable], directory: Path) -> Iterator[Finding]:
    at: KeyPath = ("cost",)
    yield from _source(cost.prices, directory, (*at, "prices"))
    yield from _twice(cost.optional, (*at, "optional"))
    if cost.optional and cost.budget is None:
        yield Finding((*at, "optional"), Fault("nothing ends these groups: there is no budget", "add budget"))
    for index, name in enumerate(cost.optional):
        here = (*at, "optional", index)
        if name not in groups:
            yield Finding(here, Fault(f"no group is called {quoted(name)}", f"choices: {', '.join(groups)}"))
        elif groups[name].hours is None:
            fault = Fault(f"{name} has no hours, so nothing ends it", f"add hours to [servers.{name}]")
            yield Finding(here, fault, (("servers", name, "hours"),))


def _notify(notify: NotifyTable) -> Iterator[Finding]:
    at: KeyPath = ("notify",)
    yield from _twice(notify.events, (*at, "events"))
    if notify.exec and not notify.exec[0].startswith("/"):
        fault = Fault(f"{quoted(notify.exec[0])} is not the whole path of a program", 'begin with "/"')
        yield Finding((*at, "exec", 0), fault)
    hook = notify.webhook
    if hook and hook.token and hook.address.startswith("http:"):
        host = urlsplit(hook.address).hostname or ""
        if host not in ("localhost", "::1") and not host.startswith("127."):
            yield Finding((*at, "webhook"), Fault("the token would travel in clear", "use https for the web hook"))


def _patch(patch: PatchTable, groups: set[str], image: ImageTable, directory: Path) -> Iterator[Finding]:
    named = [((*_PATCH, "exposed", index), name) for index, name in enumerate(patch.exposed)]
    for number, waiver in enumerate(patch.waivers):
        named += [((*_PATCH, "waivers", number, "groups", index), name) for index, name in enumerate(waiver.groups)]
    for at, name in named:
        if name not in groups:
            yield Finding(at, Fault(f'no group is called "{name}"', f"choices: {', '.join(sorted(groups)) or 'none'}"))
    zone = moments.zone(patch.time_zone)
    for number, freeze in enumerate(patch.freezes):
        here: KeyPath = (*_PATCH, "freezes", number)
        yield from _twice(freeze.unless, (*here, "unless"))
        if moments.end_of(freeze.end, zone) <= moments.begin_of(freeze.begin, zone):
            fault = Fault("the freeze ends before it begins", "write the later day as its end")
            yield Finding((*here, "end"), fault, ((*here, "begin"),))
    yield from _ruled(patch)
    yield from _raised(patch, image, directory)


def _ruled(patch: PatchTable) -> Iterator[Finding]:
    """Rules that can never be reached, as one before them meets everything."""
    for number, rule in enumerate(patch.rules[:-1]):
        if (rule.severity, rule.exploited, rule.epss, rule.exposed) == (None, None, None, None):
            fault = Fault("everything meets the rule before: this one is never reached", "put it before that one")
            yield Finding((*_PATCH, "rules", number + 1), fault, ((*_PATCH, "rules", number),))


def _raised(patch: PatchTable, image: ImageTable, directory: Path) -> Iterator[Finding]:
    """Files that may be raised: they must be there, and reach the image."""
    yield from _twice(patch.raises, (*_PATCH, "raises"))
    laid = [place_of(file.source, directory).resolve() for file in image.files.values() if file.source is not None]
    for index, name in enumerate(patch.raises):
        place = place_of(name, directory)
        if not place.is_file():
            yield Finding((*_PATCH, "raises", index), Fault(f"there is no file {place}", "correct the path"))
        elif not any(place.resolve() == each or each in place.resolve().parents for each in laid):
            fault = Fault(f"{name} is not laid into the image", "name a file that image.files lays in")
            yield Finding((*_PATCH, "raises", index), fault, (("image", "files"),))


def _image(image: ImageTable, directory: Path) -> Iterator[Finding]:
    for key, names in (("packages", image.packages), ("debs", image.debs), ("units", image.units)):
        yield from _twice(names, ("image", key))
    yield from _twice([normal(path) for path in image.writable], ("image", "writable"))
    yield from _twice([f"the waiver of {each.finding} at {each.path}" for each in image.waivers], ("image", "waivers"))
    for name, archive in image.archives.items():
        yield from _archive(archive, name, directory, ("image", "archives", name))
    for index, deb in enumerate(image.debs):
        if not place_of(deb, directory).is_file():
            fault = Fault(f"there is no file {place_of(deb, directory)}", "make it, or correct the path")
            yield Finding(("image", "debs", index), fault)
    if image.puppet:
        yield from _hook(image.puppet.directory, "manifest", image.puppet.manifest, directory, ("image", "puppet"))
    if image.ansible:
        yield from _hook(image.ansible.directory, "playbook", image.ansible.playbook, directory, ("image", "ansible"))
    for target, file in image.files.items():
        at: KeyPath = ("image", "files", target)
        yield from _file(file, target, directory, at)
    yield from _overlapping(image.files, directory)


def _hook(named: str, key: str, begin: str, directory: Path, at: KeyPath) -> Iterator[Finding]:
    """The directory that a tool works from, and what in it the tool begins with."""
    place = place_of(named, directory)
    if not place.is_dir():
        yield Finding((*at, "directory"), Fault(f"there is no directory {place}", "make it, or correct the path"))
        return
    first = place / begin
    if not (first.is_file() or (key == "manifest" and first.is_dir())):
        fault = Fault(f"there is no {key} {first}", f"make it, or name another in {at[-1]}.{key}")
        yield Finding((*at, key), fault, ((*at, "directory"),))


def _archive(archive: ArchiveTable, name: str, directory: Path, at: KeyPath) -> Iterator[Finding]:
    if name in _OWN_ARCHIVES:
        yield Finding(at, Fault(f"{name} is what bluestone calls an archive of its own", "choose another name"))
    if archive.suite.endswith("/") == bool(archive.components) and archive.components is not None:
        fault = Fault(
            f"the suite {archive.suite} {'has no components' if archive.components else 'needs components'}",
            'a suite that ends in "/" is the path of an index, and has none; every other has some, such as "main"',
        )
        yield Finding((*at, "components"), fault, ((*at, "suite"),))
    key = place_of(archive.key, directory)
    if not key.is_file():
        fault = Fault(f"there is no file {key}", "save there the keys that the archive is signed with")
        yield Finding((*at, "key"), fault)
    else:
        with key.open("rb") as file:
            if file.read(12)[8:] == b"KBXf":
                mend = "write its keys out: gpg --no-default-keyring --keyring FILE --export --armor"
                yield Finding((*at, "key"), Fault(f"{key} is a keybox, which apt cannot read", mend))


def _twice(names: Iterable[str], at: KeyPath) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield Finding((*at, index), Fault(f"{name} is named twice", "leave one of them out"))
        seen.add(name)


def _file(file: FileTable, target: str, directory: Path, at: KeyPath) -> Iterator[Finding]:
    rests_on = ((*at, "source"), (*at, "content"))
    if (file.source is None) == (file.content is None):
        number = "neither" if file.source is None else "both"
        fault = Fault(f"{target} has {number} of source and content", "write exactly one of the two")
        yield Finding(at, fault, rests_on)
    if file.source is not None:
        yield from _source(file.source, directory, (*at, "source"))
    if normal(target) == "/" and not _is_directory(file, directory):
        fault = Fault("only a directory can be laid over /", "name a directory, or a file's whole path as target")
        yield Finding(at, fault, rests_on)


def _source(source: str, directory: Path, at: KeyPath) -> Iterator[Finding]:
    place = place_of(source, directory)
    if not place.exists():
        broken = " (a link that leads nowhere)" if place.is_symlink() else ""
        yield Finding(at, Fault(f"there is no file or directory {place}{broken}", "make it, or correct the path"))
    elif not (place.is_file() or place.is_dir()):
        yield Finding(at, Fault(f"{place} is no file and no directory", "name one that is"))


def _is_directory(file: FileTable, directory: Path) -> bool:
    return file.source is not None and place_of(file.source, directory).is_dir()


def _overlapping(files: dict[str, FileTable], directory: Path) -> Iterator[Finding]:
    """One target twice, in two spellings; and a target below another that is a file."""
    targets: dict[str, str] = {}
    for target in files:
        twin = targets.setdefault(normal(target), target)
        if twin != target:
            fault = Fault(f"{target} is the same place as {twin}", "leave one of them out")
            yield Finding(("image", "files", target), fault, (("image", "files", twin),))
    for inner in files:
        for above in _path_and_above(normal(inner))[1:]:
            outer = targets.get(above)
            if outer and not _is_directory(files[outer], directory):
                fault = Fault(f"{inner} cannot lie in {outer}, which is a file", "lay one of them elsewhere")
                yield Finding(("image", "files", inner), fault, (("image", "files", outer),))


def _path_and_above(path: str) -> list[str]:
    return [path, *map(str, PurePosixPath(path).parents)]


def _rollout(group: GroupTable, at: KeyPath) -> Iterator[Finding]:
    rollout = group.rollout
    if rollout.hold and rollout.strategy != "destroy-first":
        fault = Fault(
            f"hold has no meaning here: {rollout.strategy} leaves servers to take the requests",
            'leave it out, or choose "destroy-first"',
        )
        yield Finding((*at, "hold"), fault, ((*at, "strategy"),))
    if group.volumes:
        yield from _one_holder(rollout, at)
        return

    def wrong(key: str, what: str, mend: str, *others: str) -> Finding:
        rests_on = tuple((*at, each) for each in (key, "strategy", *others))
        return Finding((*at, key), Fault(what, mend), rests_on)

    surge, away = rollout.max_surge, rollout.max_unavailable
    match rollout.strategy:
        case "blue-green":
            for key, value in (("max_surge", surge), ("max_unavailable", away)):
                if value is not None:
                    yield wrong(key, f"{key} has no meaning here: {_KEEP_SURGE}", 'leave it out, or choose "rolling"')
        case "rolling":
            if surge is not None and not surge.value and (away is None or not away.value):
                what = "nothing could ever be replaced: no server may come before one goes, and none may go"
                yield wrong("max_surge", what, "let max_surge or max_unavailable be at least 1", "max_unavailable")
        case "destroy-first":
            if surge is not None and surge.value:
                what = "destroy-first never has more servers than count: max_surge can only be 0"
                yield wrong("max_surge", what, 'leave it out, or choose "rolling"')
            if away is not None and not away.value:
                what = "nothing could ever be replaced: destroy-first destroys a server before the new one comes"
                yield wrong("max_unavailable", what, 'let it be at least 1, or choose "rolling"')
    if rollout.keep is not None and rollout.strategy != "blue-green":
        what = f"keep has no meaning here: {rollout.strategy} has no old servers left to keep"
        yield wrong("keep", what, 'leave it out, or choose "blue-green"')


def _one_holder(rollout: RolloutTable, at: KeyPath) -> Iterator[Finding]:
    """A volume is on one server at a time, so none can be started beside the one that it replaces."""
    volumes: KeyPath = (*at[:-1], "volumes")
    away = rollout.max_unavailable
    if rollout.strategy == "blue-green":
        fault = Fault(
            "blue-green starts the new servers beside the old, and a volume can be on one server only",
            'write rollout = "destroy-first"; the balancer holds requests meanwhile',
        )
        yield Finding(at, fault, (volumes, (*at, "strategy")))
    if rollout.max_surge is not None and rollout.max_surge.value:
        fault = Fault("no server can be more than count: its volumes are on the one that it replaces", "leave it out")
        yield Finding((*at, "max_surge"), fault, (volumes,))
    if away is not None and not away.value:
        fault = Fault(
            "nothing could ever be replaced: a volume is free for the new server once the old one is gone",
            "let it be at least 1, or leave it out",
        )
        yield Finding((*at, "max_unavailable"), fault, (volumes,))
    if rollout.keep is not None:
        fault = Fault("keep has no meaning here: old servers would keep the volumes too", "leave it out")
        yield Finding((*at, "keep"), fault, (volumes,))


def _health(group: GroupTable, at: KeyPath) -> Iterator[Finding]:
    health, progress = group.health, group.rollout.progress
    if health is None:
        return
    key, ports = (*at, "health"), (*at, "ports")
    if not group.ports:
        fault = Fault(
            "a group without ports has no health to check: the balancer does not know it",
            'leave health out, or add ports, such as ports = ["8080:80"]',
        )
        yield Finding(key, fault, (ports,))
    elif health.path and not health.port and all(port.mode == "tcp" for port in group.ports):
        fault = Fault(
            f"a health path is asked for by HTTP, but every port of {at[-1]} is tcp",
            'write health = "tcp", or say in health.port which port answers HTTP',
        )
        yield Finding((*key, "path"), fault, (ports, (*key, "port")))
    least = (health.rise - 1) * health.interval
    if least >= progress:
        fault = Fault(
            f"no server could be healthy in time: {health.rise} checks {health.interval.total_seconds():g} s "
            f"apart take longer than a rollout waits ({progress.total_seconds():g} s)",
            "check more often, ask for fewer checks, or raise rollout.progress",
        )
        rests_on = ((*key, "interval"), (*key, "rise"), (*at, "rollout", "progress"))
        yield Finding((*key, "interval"), fault, rests_on)


def _names(group: GroupTable, at: KeyPath) -> Iterator[Finding]:
    for name in group.secrets:
        if name in group.environment:
            fault = Fault(f"{name} is both in environment and in secrets", "leave one of them out")
            yield Finding((*at, "secrets", name), fault, ((*at, "environment", name),))


def _volumes(group: GroupTable, image: ImageTable, at: KeyPath) -> Iterator[Finding]:
    writable = {normal(path): index for index, path in enumerate(image.writable)}
    taken: dict[str, str] = {}
    for name, volume in group.volumes.items():
        here: KeyPath = (*at, "volumes", name)
        other = taken.setdefault(volume.path, name)
        if other != name:
            fault = Fault(f"{volume.path} is on the volume {other} already", "choose another path")
            yield Finding((*here, "path"), fault, ((*at, "volumes", other),))
        if volume.asleep == "snapshot" and group.hours is None:
            fault = Fault(f"servers of {at[-1]} never sleep, as they have no hours", "add hours, or leave asleep out")
            yield Finding((*here, "asleep"), fault, ((*at, "hours"),))
        if volume.path in writable:
            fault = Fault(
                f"{volume.path} is in image.writable, so it would be in memory and on a volume", "leave one of them out"
            )
            yield Finding((*here, "path"), fault, (("image", "writable", writable[volume.path]),))
    if group.volumes and group.provider == _OWN_KERNEL:
        fault = Fault("virtual machines have no volumes yet", 'choose provider = "podman", or leave the volumes out')
        yield Finding((*at, "volumes"), fault, ((*at, "provider"),))


def _virtual_machine(group: GroupTable, image: ImageTable, at: KeyPath) -> Iterator[Finding]:
    """A container has the kernel and a share of the processors of its machine; a virtual machine has its own."""
    if group.provider != _OWN_KERNEL:
        return
    if not any(package.startswith("linux-image-") for package in image.packages):
        kernel = _KERNEL.get(image.base.distribution, "linux-image-amd64")
        fault = Fault(
            f"servers of {at[-1]} are virtual machines, and the image has no kernel that they could boot",
            f'add one to image.packages: "{kernel}"',
        )
        yield Finding((*at, "provider"), fault, (("image", "packages"), ("image", "base")))
    cpus = group.resources.cpus
    if cpus is not None and not cpus.is_integer():
        fault = Fault(f"a virtual machine has whole processors, not {cpus:g}", f"write cpus = {int(cpus) + 1}")
        yield Finding((*at, "resources", "cpus"), fault, ((*at, "provider"),))


def _listening(groups: dict[str, GroupTable]) -> Iterator[Finding]:
    """Ports that two want to listen on. An address for all of this machine's clashes with each of them."""
    taken: dict[int, dict[str, str]] = {}
    for name, group in groups.items():
        for index, port in enumerate(group.ports):
            others = taken.setdefault(port.listen, {})
            rivals = others if port.bind in _EVERYWHERE else (port.bind, *_EVERYWHERE)
            bind = next((each for each in rivals if each in others), None)
            if bind is not None:
                fault = Fault(
                    f"port {port.listen} of {port.bind} is taken: {others[bind]} listens on {bind}:{port.listen}",
                    "choose another port to listen on",
                )
                rests_on = (("servers", others[bind], "ports"),)
                yield Finding(("servers", name, "ports", index), fault, rests_on)
            others.setdefault(port.bind, name)
