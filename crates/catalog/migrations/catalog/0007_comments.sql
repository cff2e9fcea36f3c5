-- What people say about a version of an artifact.
CREATE TABLE comment (
    id         TEXT PRIMARY KEY,
    project_id TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    number     BIGINT NOT NULL,
    author     TEXT   NOT NULL,
    text       TEXT   NOT NULL,
    created_ns BIGINT NOT NULL,
    FOREIGN KEY (project_id, kind, name, number) REFERENCES version (project_id, kind, name, number)
);
CREATE INDEX comment_by_artifact ON comment (project_id, kind, name, id);
