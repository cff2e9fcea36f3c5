-- A rule that alerts, and how it stands. The alert room reads what 'definition', 'facts' and 'memory' say.
CREATE TABLE alert (
    id           TEXT PRIMARY KEY,
    project_id   TEXT   NOT NULL REFERENCES project (id),
    name         TEXT   NOT NULL,
    severity     TEXT   NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    -- A JSON array of names; all receivers of the project when null.
    receivers    TEXT,
    disabled     BIGINT NOT NULL DEFAULT 0,
    definition   TEXT   NOT NULL,
    -- What messages say of the rule.
    facts        TEXT   NOT NULL,
    -- Counts changes: what was evaluated before one is not recorded after it.
    revision     BIGINT NOT NULL,
    created_ns   BIGINT NOT NULL,
    updated_ns   BIGINT NOT NULL,
    state        TEXT   NOT NULL,
    since_ns     BIGINT NOT NULL,
    -- Whether it fired and has not been resolved.
    raised       BIGINT NOT NULL DEFAULT 0,
    memory       TEXT,
    value        DOUBLE PRECISION,
    message      TEXT   NOT NULL DEFAULT '',
    evaluated_ns BIGINT,
    due_ns       BIGINT NOT NULL,
    UNIQUE (project_id, name)
);
CREATE INDEX alert_by_due ON alert (disabled, due_ns);

-- A change of how a rule stands. It stays when the rule is removed.
CREATE TABLE alert_event (
    id         TEXT PRIMARY KEY,
    project_id TEXT   NOT NULL REFERENCES project (id),
    alert_id   TEXT   NOT NULL,
    alert      TEXT   NOT NULL,
    severity   TEXT   NOT NULL,
    facts      TEXT   NOT NULL,
    at_ns      BIGINT NOT NULL,
    change     TEXT   NOT NULL,
    value      DOUBLE PRECISION,
    message    TEXT   NOT NULL,
    -- Whether it stands in the inbox, and whether a silence kept it from the receivers.
    told       BIGINT NOT NULL,
    silenced   BIGINT NOT NULL
);
CREATE INDEX alert_event_by_project ON alert_event (project_id, told, id);
CREATE INDEX alert_event_by_alert ON alert_event (alert_id, id);

-- Who has read what, as the audit log names them.
CREATE TABLE alert_read (
    reader   TEXT NOT NULL,
    event_id TEXT NOT NULL REFERENCES alert_event (id) ON DELETE CASCADE,
    PRIMARY KEY (reader, event_id)
);
CREATE INDEX alert_read_by_event ON alert_read (event_id);

-- A webhook that is told, and how that went.
CREATE TABLE alert_receiver (
    project_id      TEXT   NOT NULL REFERENCES project (id),
    name            TEXT   NOT NULL,
    url             TEXT   NOT NULL,
    -- A JSON array of the changes that it is told.
    changes         TEXT   NOT NULL,
    disabled        BIGINT NOT NULL DEFAULT 0,
    secret          BLOB   NOT NULL,
    created_ns      BIGINT NOT NULL,
    updated_ns      BIGINT NOT NULL,
    delivered       BIGINT NOT NULL DEFAULT 0,
    -- Attempts that failed since the last that did not.
    failures        BIGINT NOT NULL DEFAULT 0,
    last_success_ns BIGINT,
    last_failure_ns BIGINT,
    last_error      TEXT,
    PRIMARY KEY (project_id, name)
);

-- What is to be sent to whom; written in the transaction of the change itself.
CREATE TABLE alert_delivery (
    event_id   TEXT   NOT NULL REFERENCES alert_event (id) ON DELETE CASCADE,
    project_id TEXT   NOT NULL,
    receiver   TEXT   NOT NULL,
    state      TEXT   NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed')),
    attempts   BIGINT NOT NULL DEFAULT 0,
    due_ns     BIGINT NOT NULL,
    error      TEXT,
    PRIMARY KEY (event_id, project_id, receiver),
    FOREIGN KEY (project_id, receiver) REFERENCES alert_receiver (project_id, name) ON DELETE CASCADE
);
CREATE INDEX alert_delivery_by_due ON alert_delivery (state, due_ns);
CREATE INDEX alert_delivery_by_receiver ON alert_delivery (project_id, receiver, state);

CREATE TABLE alert_silence (
    id         TEXT PRIMARY KEY,
    project_id TEXT   NOT NULL REFERENCES project (id),
    -- The names of rules, in which '*' stands for any characters.
    pattern    TEXT   NOT NULL,
    severity   TEXT,
    reason     TEXT   NOT NULL,
    author     TEXT   NOT NULL,
    from_ns    BIGINT NOT NULL,
    until_ns   BIGINT NOT NULL,
    created_ns BIGINT NOT NULL
);
CREATE INDEX alert_silence_by_project ON alert_silence (project_id, until_ns);
