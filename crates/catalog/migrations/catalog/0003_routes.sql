-- A model name that a project's callers may ask for, and who may answer to it.
CREATE TABLE route (
    project_id TEXT   NOT NULL REFERENCES project (id),
    name       TEXT   NOT NULL,
    -- A JSON array of {"provider", "model"}, best first.
    targets    TEXT   NOT NULL,
    retries    BIGINT,
    timeout_ms BIGINT,
    created_ns BIGINT NOT NULL,
    updated_ns BIGINT NOT NULL,
    PRIMARY KEY (project_id, name)
);
