-- What each version of a judge was compared with people on: a version of a dataset, and how. The job that does it, and how the last
-- job ended.
CREATE TABLE calibration (
    judge_id   TEXT   NOT NULL REFERENCES version (id),
    dataset_id TEXT   NOT NULL REFERENCES version (id),
    -- How it was asked for, as JSON.
    request    TEXT   NOT NULL,
    job_id     TEXT   NOT NULL,
    -- How the last job ended, as JSON; NULL while none has.
    ending     TEXT,
    updated_ns BIGINT NOT NULL,
    PRIMARY KEY (judge_id, dataset_id)
);
