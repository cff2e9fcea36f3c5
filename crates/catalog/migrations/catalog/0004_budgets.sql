-- What a project means to spend at most in a period. It is told and shown; no call is refused because of it.
CREATE TABLE budget (
    project_id  TEXT   NOT NULL REFERENCES project (id),
    name        TEXT   NOT NULL,
    period      TEXT   NOT NULL CHECK (period IN ('day', 'week', 'month')),
    unit        TEXT   NOT NULL CHECK (unit IN ('money', 'tokens')),
    -- Picodollars, or tokens of prompts and answers.
    amount      BIGINT NOT NULL,
    -- Which calls count: those that agree in this; all without it.
    scope_by    TEXT CHECK (scope_by IN ('model', 'provider', 'user', 'environment', 'prompt')),
    scope_value TEXT,
    created_ns  BIGINT NOT NULL,
    updated_ns  BIGINT NOT NULL,
    PRIMARY KEY (project_id, name),
    CHECK ((scope_by IS NULL) = (scope_value IS NULL))
);
