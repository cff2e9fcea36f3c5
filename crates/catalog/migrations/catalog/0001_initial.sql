-- What is small and changes. Times are UTC nanoseconds, identifiers and JSON are text.

-- One row, 'master_key_check': proof that the catalog is opened with the master key it was made with.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
);

CREATE TABLE project (
    id         TEXT PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    created_ns BIGINT NOT NULL
);

-- An artifact is its versions. A removed version keeps its row, so that its number is never given
-- again and lineage still shows it, and loses its content.
CREATE TABLE version (
    id         TEXT PRIMARY KEY,
    project_id TEXT   NOT NULL REFERENCES project (id),
    kind       TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    number     BIGINT NOT NULL,
    hash       TEXT   NOT NULL,
    size_bytes BIGINT NOT NULL,
    content    BLOB,
    metadata   TEXT   NOT NULL,
    created_ns BIGINT NOT NULL,
    removed_ns BIGINT,
    UNIQUE (project_id, kind, name, number)
);

CREATE TABLE label (
    project_id TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    label      TEXT   NOT NULL,
    number     BIGINT NOT NULL,
    moved_ns   BIGINT NOT NULL,
    PRIMARY KEY (project_id, kind, name, label),
    FOREIGN KEY (project_id, kind, name, number) REFERENCES version (project_id, kind, name, number)
);

CREATE TABLE lineage (
    child_id  TEXT NOT NULL REFERENCES version (id),
    parent_id TEXT NOT NULL REFERENCES version (id),
    PRIMARY KEY (child_id, parent_id)
);
CREATE INDEX lineage_by_parent ON lineage (parent_id, child_id);

CREATE TABLE job (
    id               TEXT PRIMARY KEY,
    project_id       TEXT   NOT NULL REFERENCES project (id),
    kind             TEXT   NOT NULL,
    state            TEXT   NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    payload          TEXT   NOT NULL,
    checkpoint       TEXT,
    result           TEXT,
    error            TEXT,
    attempts         BIGINT NOT NULL DEFAULT 0,
    -- Attempts since the job last got further than it had ever been.
    stalls           BIGINT NOT NULL DEFAULT 0,
    cancel_requested BIGINT NOT NULL DEFAULT 0,
    owner            TEXT,
    lease_until_ns   BIGINT,
    not_before_ns    BIGINT NOT NULL DEFAULT 0,
    done             BIGINT NOT NULL DEFAULT 0,
    total            BIGINT,
    message          TEXT   NOT NULL DEFAULT '',
    furthest         BIGINT NOT NULL DEFAULT 0,
    last_seq         BIGINT NOT NULL DEFAULT 0,
    created_ns       BIGINT NOT NULL,
    started_ns       BIGINT,
    finished_ns      BIGINT
);
CREATE INDEX job_by_state ON job (state, kind, id);
CREATE INDEX job_by_project ON job (project_id, id);

-- Either the state the job entered, or how far it is.
CREATE TABLE job_event (
    job_id  TEXT   NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    seq     BIGINT NOT NULL,
    at_ns   BIGINT NOT NULL,
    state   TEXT,
    done    BIGINT,
    total   BIGINT,
    message TEXT   NOT NULL,
    PRIMARY KEY (job_id, seq)
);

CREATE TABLE api_key (
    id         TEXT PRIMARY KEY,
    project_id TEXT   NOT NULL REFERENCES project (id),
    name       TEXT   NOT NULL,
    digest     BLOB   NOT NULL UNIQUE,
    hint       TEXT   NOT NULL,
    scopes     TEXT   NOT NULL,
    created_ns BIGINT NOT NULL,
    expires_ns BIGINT,
    revoked_ns BIGINT
);

CREATE TABLE provider (
    project_id TEXT   NOT NULL REFERENCES project (id),
    name       TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    base_url   TEXT   NOT NULL,
    timeout_ms BIGINT NOT NULL,
    settings   TEXT   NOT NULL,
    secret     BLOB,
    created_ns BIGINT NOT NULL,
    updated_ns BIGINT NOT NULL,
    PRIMARY KEY (project_id, name)
);

CREATE TABLE audit (
    seq     BIGINT PRIMARY KEY,
    at_ns   BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    noun    TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    detail  TEXT   NOT NULL,
    hash    BLOB   NOT NULL
);

-- One row: the end of the chain under a keyed hash, so that cutting the log short shows.
CREATE TABLE audit_head (
    id   BIGINT PRIMARY KEY CHECK (id = 1),
    seq  BIGINT NOT NULL,
    hash BLOB   NOT NULL,
    mac  BLOB   NOT NULL
);

CREATE TABLE setting (
    name       TEXT PRIMARY KEY,
    value      TEXT   NOT NULL,
    updated_ns BIGINT NOT NULL
);

CREATE TABLE price_table (
    version    BIGINT PRIMARY KEY,
    rows       TEXT   NOT NULL,
    created_ns BIGINT NOT NULL
);
