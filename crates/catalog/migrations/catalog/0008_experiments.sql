-- What became of each version of an experiment: the job that runs it, and how the last job ended.
CREATE TABLE experiment (
    version_id TEXT PRIMARY KEY REFERENCES version (id),
    job_id     TEXT   NOT NULL,
    -- How the last job ended, as JSON; NULL while none has.
    ending     TEXT,
    updated_ns BIGINT NOT NULL
);
