-- What guests are told at boot (user data, files, password). Apart from the instances: it is large, it is secret, and
-- only the host that builds config drive and metadata reads it. The key is the operation that brought it.

CREATE TABLE guest_data (
    id TEXT PRIMARY KEY NOT NULL,
    generation INTEGER NOT NULL,
    instance TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
