-- The journal of one project, in a schema of its own; the same columns as sqlite.sql, which says what they are.
-- Texts are compared byte by byte.

CREATE TABLE event (
    sequence bigint PRIMARY KEY,
    at       text COLLATE "C" NOT NULL,
    kind     text COLLATE "C" NOT NULL,
    grp      text COLLATE "C" NOT NULL DEFAULT '',
    server   text COLLATE "C" NOT NULL DEFAULT '',
    message  text COLLATE "C" NOT NULL DEFAULT '',
    data     text COLLATE "C" NOT NULL DEFAULT '{}',
    digest   bytea NOT NULL
);
CREATE INDEX event_server ON event (server, kind) WHERE server <> '';
CREATE INDEX event_group ON event (grp, kind) WHERE grp <> '';
CREATE INDEX event_kind ON event (kind, sequence);

CREATE TABLE head (
    one      integer PRIMARY KEY CHECK (one = 1),
    sequence bigint NOT NULL,
    digest   bytea NOT NULL
);
INSERT INTO head VALUES (1, 0, decode(repeat('00', 32), 'hex'));

CREATE TABLE lease (
    one    integer PRIMARY KEY CHECK (one = 1),
    epoch  bigint NOT NULL,
    holder text NOT NULL,
    ends   double precision NOT NULL
);
INSERT INTO lease VALUES (1, 0, '', 0);

CREATE TABLE generation (
    grp        text COLLATE "C" NOT NULL,
    number     bigint NOT NULL,
    image      text COLLATE "C" NOT NULL,
    config     text NOT NULL,
    digest     text COLLATE "C" NOT NULL,
    PRIMARY KEY (grp, number),
    UNIQUE (grp, image, digest)
);

CREATE TABLE declared (
    grp  text COLLATE "C" PRIMARY KEY,
    text text NOT NULL
);

CREATE TABLE counter (
    name text COLLATE "C" PRIMARY KEY,
    next bigint NOT NULL
);
INSERT INTO counter VALUES ('incarnation', 1);
