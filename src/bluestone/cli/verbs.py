"""The verbs: where each is, and what `bluestone --help` says of it, so that none is loaded but the one in use."""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    """The module of this package that has the verb, and the first sentence of the verb's own help."""

    module: str
    help: str


VERBS = {
    "init": Verb("declaration", "Write a commented bluestone.toml to begin with."),
    "check": Verb("declaration", "Check the declaration: all that is wrong in it, with place and mend."),
    "schema": Verb("declaration", "Print the JSON Schema of bluestone.toml, for editors."),
    "lock": Verb("lock", "Pin every package of the image in bluestone.lock, beside the declaration."),
    "build": Verb("images", "Build the image, if it is not built yet."),
    "images": Verb(
        "images", "List the images in the store of this machine, and whether a build from nothing gives the same."
    ),
    "sbom": Verb(
        "sbom", "Show what is in an image: its packages, of Debian and of languages, and what no package accounts for."
    ),
    "where": Verb("where", "Show which servers run a package, of all projects on this machine."),
    "exposures": Verb(
        "exposures",
        "Show what running servers are exposed to: what is overdue, due, or cannot be told; what has no fix if it is"
        " known to be exploited.",
    ),
    "feeds": Verb(
        "exposures",
        "Show where it is learned from what is wrong with which versions, and whether that can be relied on.",
    ),
    "diff": Verb("diff", "Show what differs from image OLD to image NEW: packages, configuration, files."),
    "verify": Verb("verify", "Check an image: who signed it, its lock, every byte of its tree, its bills."),
    "key": Verb(
        "verify", "Print the public key that this project's images are signed with; it is made if there is none yet."
    ),
    "export": Verb("export", "Write an image to DESTINATION."),
    "gc": Verb("gc", "Remove images and packages on this machine that nobody needs any more."),
    "simulate": Verb("simulate", "Try the declaration FILE against faults, on virtual time: nothing real is touched."),
    "plan": Verb("fleet", "Show what `up` would do."),
    "up": Verb("fleet", "Make the servers what the declaration says."),
    "patch": Verb("patch", "Replace servers that are exposed to what there is a fix for, and prove it."),
    "proof": Verb("proof", "Show and check proofs of patches."),
    "rollback": Verb("fleet", "Go back to the generation that served before."),
    "down": Verb("fleet", "Destroy all servers and stop what runs beside them."),
    "serve": Verb("serve", "Keep the servers as they were last rolled out, until SIGTERM."),
    "drift": Verb("drift", "Show where servers differ from their images, who was on them, and what nobody declared."),
    "pause": Verb("pause", "Have nothing done to GROUPS (to all servers, if none is named) until `resume`."),
    "resume": Verb("pause", "End a pause."),
    "keep": Verb("hours", "Keep servers up, or down, until a time; then their hours hold again."),
    "hours": Verb("hours", "When servers are up: `hours show`, `hours list`."),
    "cost": Verb("cost", "Show what servers and storage cost, what always-on would have, and what went for nothing."),
    "status": Verb("look", "Show the groups: how many servers are declared, exist and serve."),
    "servers": Verb("look", "List the servers."),
    "events": Verb("look", "Show the newest entries of bluestone's own journal, or check that it is whole."),
    "explain": Verb(
        "explain", "Say why a server is here, or was destroyed; what a plan did; what an event belongs to."
    ),
    "logs": Verb("logs", "Show the log lines of servers, also of those that are gone."),
    "web": Verb("web", "Serve the logs to browsers and programs, until SIGTERM or Ctrl-C."),
    "users": Verb(
        "users",
        "Say who may look through `bluestone web`, and as what: readers search, operators also export and hold lines.",
    ),
    "state": Verb("state", "Show where the journal is and who leads, or move it."),
    "volumes": Verb("volumes", "List the volumes of servers, also of those that are gone."),
}
"""In the order in which a newcomer needs them."""
