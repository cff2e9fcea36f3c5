-- Where the rows of the lake are: staged here until they are sealed, then in segments.

-- AUTOINCREMENT (SQLite's word for it) never gives an id twice, so that an id names one batch for ever.
CREATE TABLE staged (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    table_name  TEXT   NOT NULL,
    rows        BIGINT NOT NULL,
    bytes       BIGINT NOT NULL,
    min_time_ns BIGINT NOT NULL,
    max_time_ns BIGINT NOT NULL,
    blob        BLOB   NOT NULL
);

CREATE TABLE segment (
    id                 TEXT PRIMARY KEY,
    table_name         TEXT   NOT NULL,
    path               TEXT   NOT NULL UNIQUE,
    rows               BIGINT NOT NULL,
    bytes              BIGINT NOT NULL,
    min_time_ns        BIGINT NOT NULL,
    max_time_ns        BIGINT NOT NULL,
    hash               TEXT   NOT NULL,
    level              BIGINT NOT NULL,
    tombstones_through BIGINT,
    created_ns         BIGINT NOT NULL,
    quarantined_ns     BIGINT,
    quarantine_reason  TEXT
);
CREATE INDEX segment_by_table ON segment (table_name, min_time_ns);

-- Rows of this subject that were staged up to this batch are gone for readers, and from disk once compacted.
CREATE TABLE tombstone (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    table_name     TEXT   NOT NULL,
    subject        TEXT   NOT NULL,
    staged_through BIGINT NOT NULL,
    created_ns     BIGINT NOT NULL
);
CREATE INDEX tombstone_by_table ON tombstone (table_name);
