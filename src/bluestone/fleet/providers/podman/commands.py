"""The argument lists that podman is called with. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

from msgspec import Struct

from bluestone.fleet.providers.podman.addresses import Network, mac_of, published
from bluestone.fleet.providers.podman.labels import PROJECT, labels
from bluestone.fleet.providers.podman.runtime import Runtime
from bluestone.fleet.providers.podman.volumes import mounts
from bluestone.model.problem import Problem
from bluestone.model.server import Endpoint, ServerSpec

CAPABILITIES = {
    "CHOWN": "systemd-tmpfiles and daemons give directories to their users",
    "DAC_OVERRIDE": "root's part of a daemon opens files of its user",
    "FOWNER": "systemd-tmpfiles sets modes and access lists on what belongs to others",
    "FSETID": "the journal's directory keeps its set-group-id bit",
    "KILL": "systemd stops services that run as other users",
    "NET_BIND_SERVICE": "daemons listen below 1024",
    "SETGID": "User= and SupplementaryGroups=",
    "SETPCAP": "CapabilityBoundingSet= and NoNewPrivileges=",
    "SETUID": "User=",
}
"""What a server's root may do, and why. None of it reaches outside the container."""

MEMORY_FILE_SYSTEMS = {  # Paths on the server.
    "/run": "size=128m,mode=0755",
    "/run/lock": "size=4m,mode=1777",
    "/tmp": "size=64m,mode=1777",  # noqa: S108
    "/var/tmp": "size=64m,mode=1777",  # noqa: S108
    "/var/log": "size=64m,mode=0755",
    "/var/log/journal": "size=64m",
    "/var/lib/systemd": "size=4m,mode=0755",
}
"""Where systemd and the journal write; the sizes bound what podman and the kernel would not."""

DECLARED_SIZE = "size=256m"
"""Bound of each directory that the declaration makes writable. Its mode and content are the image's."""

PROCESSES = 2048
"""Most processes and threads of one server."""

OWNERS = "bluestone-volumes.conf"
"""The file that tells systemd-tmpfiles whose the volumes are."""

CONSOLE_SIZE = "1mb"
"""Of a server's console this much is kept, so that a noisy one does not fill the disk."""

EVENTS = ("died", "exec", "pause", "remove", "unpause")
"""Events of podman by which a server has become another than it was."""

INIT = (
    "/sbin/init",
    # In a container systemd reads its own arguments as a kernel command line (kernel-command-line(7)).
    "systemd.getty_auto=0",
    "systemd.show_status=error",
    "systemd.log_color=0",
)
"""The server's init: no login prompt. On the console it tells what fails; the image has journald add errors."""


class Place(Struct, frozen=True):
    """Where a server is put: the image's tree, and what of this machine it sees.

    Without a network, ports of this machine's loopback at `address` stand for the server's own.
    """

    root: Path
    bootfiles: Path
    machine_id: Path
    log_directory: Path | None
    network: Network | None
    address: IPv4Address


def endpoint(spec: ServerSpec, place: Place) -> Endpoint:
    """Where a server in its place is reached."""
    ports = spec.generation.config.ports
    return Endpoint(str(place.address), {port: port for port in ports} if place.network else published(ports))


def container_name(project: str, server: str) -> str:
    """The container's name. The dot, which no project's name has, keeps projects `a` and `a-b` apart."""
    return f"bluestone-{project}.{server}"


def network_name(project: str) -> str:
    """The name of a project's network."""
    return f"bluestone-{project}"


def launch(spec: ServerSpec, place: Place, runtime: Runtime) -> list[str]:
    """Create a server's container and start it. Secrets are in `place.bootfiles`, not in here.

    Raises `Problem` for a path that podman would take for a path and options, and for limits that it would drop.
    """
    resources = spec.resources
    if not runtime.limits and (resources.memory is not None or resources.cpus is not None):
        raise Problem(
            f"the limits of memory and cpus of {spec.group} cannot be kept: this machine's control groups are not of "
            "version 2, and without root podman would run the servers without limits",
            mend="run bluestone as root, boot with systemd.unified_cgroup_hierarchy=1, or declare no limits",
        )
    for path in (place.root, place.bootfiles, place.log_directory, *spec.writable):
        if ":" in str(path):
            raise Problem(f"podman cannot be given a path with a colon in it: {path}", mend="use a path without one")
    return [
        "podman",
        "run",
        "--detach",
        "--name",
        container_name(spec.project, spec.name),
        *_labels(spec, place),
        *_identity(spec, place),
        *_confinement(spec),
        *_file_systems(spec, place),
        *_network(spec, place),
        *runtime.options,
        "--rootfs",
        # O: an overlay over the tree, so that the image store is never written to.
        f"{place.root}:O",
        *_init(runtime),
    ]


def start(project: str, server: str) -> list[str]:
    """Start a container; one that runs is left alone."""
    return ["podman", "start", container_name(project, server)]


def remove(project: str, server: str, grace: timedelta) -> list[str]:
    """Stop a container within `grace` (its stop signal, then SIGKILL) and remove it with its volumes."""
    seconds = str(max(0, round(grace.total_seconds())))
    name = container_name(project, server)
    return ["podman", "rm", "--force", "--time", seconds, "--volumes", "--ignore", name]


def list_containers(project: str) -> list[str]:
    """All containers of a project, as JSON."""
    return ["podman", "ps", "--all", "--filter", f"label={PROJECT}={project}", "--format", "json"]


def events(project: str) -> list[str]:
    """What happens to a project's containers from now on that an observation may have to see at once, as JSON lines."""
    told = [word for event in EVENTS for word in ("--filter", f"event={event}")]
    return ["podman", "events", "--format", "json", "--filter", f"label={PROJECT}={project}", *told]


def list_neighbours(project: str) -> list[str]:
    """All containers on a project's network, whoever made them, as JSON."""
    return ["podman", "ps", "--all", "--filter", f"network={network_name(project)}", "--format", "json"]


def inspect(containers: list[str]) -> list[str]:
    """Name and state of containers, as a line of JSON each."""
    return ["podman", "container", "inspect", "--format", "[{{json .Name}}, {{json .State}}]", *containers]


def logs(project: str, server: str, lines: int) -> list[str]:
    """The last lines on a container's console."""
    return ["podman", "logs", "--tail", str(lines), container_name(project, server)]


def create_network(project: str) -> list[str]:
    """Create a project's network, in a subnet that podman chooses. Nothing on it needs names."""
    label = f"{PROJECT}={project}"
    return ["podman", "network", "create", "--disable-dns", "--label", label, network_name(project)]


def inspect_network(project: str) -> list[str]:
    """A project's network, as JSON."""
    return ["podman", "network", "inspect", network_name(project)]


def list_networks(project: str) -> list[str]:
    """The names of the networks that bluestone made for a project."""
    label = f"label={PROJECT}={project}"
    return ["podman", "network", "ls", "--filter", label, "--format", "{{.Name}}"]


def remove_network(project: str) -> list[str]:
    """Remove a project's network; refused by podman while a container uses it."""
    return ["podman", "network", "rm", network_name(project)]


def _init(runtime: Runtime) -> tuple[str, ...]:
    """The init, at the niceness that it would have if podman, of which it inherits one, had not been hurried."""
    return ("/usr/bin/nice", "-n", str(-runtime.hurry), *INIT) if runtime.hurry else INIT


def _labels(spec: ServerSpec, place: Place) -> Iterator[str]:
    for name, value in labels(spec, place.address).items():
        yield from ("--label", f"{name}={value}")


def _identity(spec: ServerSpec, place: Place) -> Iterator[str]:
    yield from ("--hostname", spec.name)
    # systemd cannot make a machine id on a read-only root, and the journal wants one.
    yield from ("--volume", f"{place.machine_id}:/etc/machine-id:ro")
    yield "--systemd=always"
    yield from ("--stop-signal", "SIGRTMIN+3")
    yield from ("--restart", "no")
    # The terminal carries what systemd prints; nothing reads from it, and no login prompt is started on it.
    yield from ("--tty", "--env", "TERM=dumb")
    yield from ("--log-driver", "k8s-file", "--log-opt", f"max-size={CONSOLE_SIZE}")
    # Else podman hands the caller's proxy variables, which may hold a password, to the server.
    yield "--http-proxy=false"


def _confinement(spec: ServerSpec) -> Iterator[str]:
    yield "--read-only"
    yield from ("--cap-drop", "all", "--cap-add", ",".join(CAPABILITIES))
    yield from ("--security-opt", "no-new-privileges")
    yield from ("--pids-limit", str(PROCESSES))
    resources = spec.resources
    if resources.memory is not None:
        yield from ("--memory", f"{resources.memory}b")
    if resources.cpus is not None:
        yield from ("--cpus", f"{resources.cpus:g}")


def _file_systems(spec: ServerSpec, place: Place) -> Iterator[str]:
    declared = {path.rstrip("/"): DECLARED_SIZE for path in spec.writable}
    on_volumes = {volume.path for volume in spec.volumes.values()}
    for path, options in {**declared, **MEMORY_FILE_SYSTEMS}.items():
        if path not in on_volumes:
            yield from ("--tmpfs", f"{path}:{options}")
    yield from mounts(spec)
    if OWNERS in spec.bootfiles:
        yield from ("--volume", f"{place.bootfiles / OWNERS}:/run/tmpfiles.d/{OWNERS}:ro")
    yield from ("--volume", f"{place.bootfiles}:/run/bluestone:ro")
    if place.log_directory is not None:
        # The directory and not the socket in it: a receiver that is started again makes a new socket.
        yield from ("--volume", f"{place.log_directory}:/run/bluestone-log:ro")


def _network(spec: ServerSpec, place: Place) -> Iterator[str]:
    if place.network is not None:
        options = f"ip={place.address},mac={mac_of(place.address)}"
        yield from ("--network", f"{place.network.name}:{options}")
    else:
        for port, outside in published(spec.generation.config.ports).items():
            yield from ("--publish", f"{place.address}:{outside}:{port}")
