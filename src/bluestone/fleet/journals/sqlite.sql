-- The journal of one project. Observation decides; the journal explains.

CREATE TABLE event (
    sequence INTEGER PRIMARY KEY,          -- counts from 1 without gaps
    at       TEXT NOT NULL,                -- ISO 8601, UTC
    kind     TEXT NOT NULL,                -- noun.verb
    grp      TEXT NOT NULL DEFAULT '',
    server   TEXT NOT NULL DEFAULT '',
    message  TEXT NOT NULL DEFAULT '',
    data     TEXT NOT NULL DEFAULT '{}',   -- JSON
    digest   BLOB NOT NULL                 -- of this entry and the one before it: chain.py
) STRICT;
CREATE INDEX event_server ON event (server, kind) WHERE server <> '';
CREATE INDEX event_group ON event (grp, kind) WHERE grp <> '';
CREATE INDEX event_kind ON event (kind);

-- The last entry, kept apart from the entries: some that are missing at the end are found by it.
CREATE TABLE head (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    sequence INTEGER NOT NULL,
    digest   BLOB NOT NULL
) STRICT;
INSERT INTO head VALUES (1, 0, zeroblob(32));

-- Who leads: no entry is taken from a holder of an earlier epoch.
CREATE TABLE lease (
    only   INTEGER PRIMARY KEY CHECK (only = 1),
    epoch  INTEGER NOT NULL,               -- counts the holders
    holder TEXT NOT NULL,                  -- JSON of Holder
    ends   REAL NOT NULL                   -- seconds since 1970; 0 once it was given back
) STRICT;
INSERT INTO lease VALUES (1, 0, '', 0);

CREATE TABLE generation (
    grp        TEXT NOT NULL,
    number     INTEGER NOT NULL,
    image      TEXT NOT NULL,
    config     TEXT NOT NULL,              -- JSON of ServerConfig
    digest     TEXT NOT NULL,              -- of that configuration
    PRIMARY KEY (grp, number),
    UNIQUE (grp, image, digest)
) STRICT;

-- How each group was last declared: a group that is taken out of the file is still drained as it was declared.
CREATE TABLE declared (
    grp        TEXT PRIMARY KEY,
    text       TEXT NOT NULL               -- JSON of Group
) STRICT;

-- Numbers that are never given out twice.
CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    next  INTEGER NOT NULL
) STRICT;
INSERT INTO counter VALUES ('incarnation', 1);
