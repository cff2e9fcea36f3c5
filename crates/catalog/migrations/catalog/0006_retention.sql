-- How long rows of a project are kept, table by table; where there is no row, the operator's setting holds.
CREATE TABLE retention (
    project_id TEXT   NOT NULL REFERENCES project (id),
    table_name TEXT   NOT NULL,
    -- Days; 0 keeps rows for ever.
    days       BIGINT NOT NULL,
    updated_ns BIGINT NOT NULL,
    PRIMARY KEY (project_id, table_name)
);
