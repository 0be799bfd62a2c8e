-- Volumes and their snapshots. Both are few beside instances, and held in memory by the actor that writes them.

CREATE TABLE volumes (
    id TEXT PRIMARY KEY NOT NULL,
    generation INTEGER NOT NULL,
    project TEXT NOT NULL,
    status TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE volume_snapshots (
    id TEXT PRIMARY KEY NOT NULL,
    generation INTEGER NOT NULL,
    volume TEXT NOT NULL,
    project TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
