-- What is in which image, and which server ran which image from when to when. Derived: it can be made anew at any time.

CREATE TABLE image (
    id     INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    stamp  TEXT NOT NULL DEFAULT '',   -- of the bill that was read; empty: none ever was
    here   INTEGER NOT NULL DEFAULT 0  -- whether the image is on this machine
) STRICT;

-- One row for all images that have it.
CREATE TABLE package (
    id        INTEGER PRIMARY KEY,
    ecosystem TEXT NOT NULL,
    name      TEXT NOT NULL,
    version   TEXT NOT NULL,
    purl      TEXT NOT NULL,
    origins   TEXT NOT NULL,           -- JSON of [[name, version, how], ...]
    folded    TEXT NOT NULL,           -- the name as it is looked for
    artifact  TEXT NOT NULL,           -- the same, without a Maven group
    UNIQUE (ecosystem, name, version, purl, origins)
) STRICT;
CREATE INDEX package_folded ON package (folded);
CREATE INDEX package_artifact ON package (artifact) WHERE artifact <> folded;

CREATE TABLE origin (
    name    TEXT NOT NULL,
    package INTEGER NOT NULL REFERENCES package,
    version TEXT NOT NULL,
    how     TEXT NOT NULL,
    PRIMARY KEY (name, package, version, how)
) STRICT, WITHOUT ROWID;

-- One row for all that are alike: most of an image is told by one file, dpkg's database.
CREATE TABLE place (
    id         INTEGER PRIMARY KEY,
    path       TEXT NOT NULL,
    owner      TEXT NOT NULL,
    evidence   TEXT NOT NULL,
    confidence REAL NOT NULL,
    declared   INTEGER NOT NULL,
    UNIQUE (path, owner, evidence, confidence, declared)
) STRICT;

-- Which images have a package at a place: one row for all of them, as a fleet's images have most in common.
CREATE TABLE holding (
    package INTEGER NOT NULL REFERENCES package,
    place   INTEGER NOT NULL REFERENCES place,
    images  BLOB NOT NULL,             -- the numbers of images, 32 bits each (`index.NUMBERS`), in no order
    PRIMARY KEY (package, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE unidentified (
    image INTEGER NOT NULL REFERENCES image,
    path  TEXT NOT NULL,
    PRIMARY KEY (image, path)
) STRICT, WITHOUT ROWID;

-- The last entry of each project's journal that was read.
CREATE TABLE journal (
    project  TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,
    at       TEXT NOT NULL,
    kind     TEXT NOT NULL,
    server   TEXT NOT NULL
) STRICT;

-- Groups of servers.
CREATE TABLE grp (
    id      INTEGER PRIMARY KEY,
    project TEXT NOT NULL,
    name    TEXT NOT NULL,
    UNIQUE (project, name)
) STRICT;

CREATE TABLE lifetime (
    server  TEXT NOT NULL,
    grp     INTEGER NOT NULL REFERENCES grp,
    image   INTEGER NOT NULL REFERENCES image,
    began   INTEGER NOT NULL,          -- microseconds since 1970
    ended   INTEGER NOT NULL,          -- the same; `index.FOREVER`: it exists
    PRIMARY KEY (server, grp)
) STRICT, WITHOUT ROWID;
-- All of a lifetime is in it: none has to be looked up.
CREATE INDEX lifetime_image ON lifetime (image, ended, began, grp);
