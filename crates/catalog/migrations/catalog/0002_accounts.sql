-- A person who signs in to the console. A user is somebody else: an end user of the calls, in traces.
CREATE TABLE account (
    name          TEXT PRIMARY KEY,
    project_id    TEXT   NOT NULL REFERENCES project (id),
    role          TEXT   NOT NULL CHECK (role IN ('viewer', 'editor', 'admin')),
    -- argon2id in the PHC string format, with its own salt and parameters.
    password_hash TEXT   NOT NULL,
    disabled      BIGINT NOT NULL DEFAULT 0,
    created_ns    BIGINT NOT NULL,
    updated_ns    BIGINT NOT NULL
);

-- A browser that is signed in, by an account or by a key. The token itself is only in the browser.
CREATE TABLE sign_in (
    digest     BLOB PRIMARY KEY,
    csrf_token TEXT   NOT NULL,
    account    TEXT REFERENCES account (name) ON DELETE CASCADE,
    key_id     TEXT REFERENCES api_key (id),
    created_ns BIGINT NOT NULL,
    expires_ns BIGINT NOT NULL,
    -- When it was last used, some minutes behind.
    used_ns    BIGINT NOT NULL,
    CHECK ((account IS NULL) <> (key_id IS NULL))
);
CREATE INDEX sign_in_by_account ON sign_in (account);
CREATE INDEX sign_in_by_key ON sign_in (key_id);
