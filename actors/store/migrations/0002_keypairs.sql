-- A user's public keys. The key is "user/name".
CREATE TABLE keypairs (
    id TEXT PRIMARY KEY NOT NULL,
    generation INTEGER NOT NULL,
    user TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
