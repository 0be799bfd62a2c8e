-- The first schema. Later numbers only add: an older release must be able to read what a newer one wrote.
--
-- Each table: its key, the generation, columns that are searched, and the record as JSON. The body stands last, so
-- that reading a column never walks through it. Indexes are few: each costs every commit.

CREATE TABLE settings (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The newest epoch of every writer. The row of the conductor itself is what keeps a replaced one from writing.
CREATE TABLE writers (
    name TEXT PRIMARY KEY NOT NULL,
    epoch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE instances (
    id TEXT PRIMARY KEY NOT NULL,
    generation INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    project TEXT NOT NULL,
    created TEXT NOT NULL,
    name TEXT NOT NULL,
    host_id TEXT,
    deleted INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX instances_living ON instances (partition) WHERE deleted = 0;

-- An instance's operations are found by the key: it begins with the instance's id.
CREATE TABLE operations (
    id TEXT PRIMARY KEY NOT NULL,
    generation INTEGER NOT NULL,
    instance TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    project TEXT NOT NULL,
    request_id TEXT NOT NULL,
    action TEXT NOT NULL,
    created TEXT NOT NULL,
    done INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (project, request_id)
) STRICT;
CREATE INDEX operations_unfinished ON operations (partition) WHERE done = 0;
CREATE INDEX operations_newest ON operations (created, id);
CREATE INDEX operations_newest_of_project ON operations (project, created, id);

CREATE TABLE hosts (
    id TEXT PRIMARY KEY NOT NULL,
    generation INTEGER NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE claims (
    instance TEXT PRIMARY KEY NOT NULL,
    generation INTEGER NOT NULL,
    host_id TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX claims_of_host ON claims (host_id);

CREATE TABLE networks (
    id TEXT PRIMARY KEY NOT NULL,
    generation INTEGER NOT NULL,
    project TEXT NOT NULL,
    label TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE ports (
    id TEXT PRIMARY KEY NOT NULL,
    generation INTEGER NOT NULL,
    instance TEXT NOT NULL,
    project TEXT NOT NULL,
    network TEXT NOT NULL,
    address TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (network, address)
) STRICT;
CREATE INDEX ports_of_instance ON ports (instance);

CREATE TABLE images (
    id TEXT PRIMARY KEY NOT NULL,
    generation INTEGER NOT NULL,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE flavors (
    id TEXT PRIMARY KEY NOT NULL,
    generation INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE tokens (
    sha256 TEXT PRIMARY KEY NOT NULL,
    generation INTEGER NOT NULL,
    user TEXT NOT NULL,
    project TEXT NOT NULL,
    role TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE evictions (
    id TEXT PRIMARY KEY NOT NULL,
    generation INTEGER NOT NULL,
    host_id TEXT NOT NULL,
    instance TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX evictions_of_host ON evictions (host_id);

-- AUTOINCREMENT: a number never comes back, also when every row has been pruned.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    project TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
