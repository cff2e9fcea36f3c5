-- Who may label the items of a version of an annotation, and who may decide where labels differ. Of a role that nobody has, whoever
-- may write.
CREATE TABLE annotation_person (
    version_id TEXT NOT NULL REFERENCES version (id),
    role       TEXT NOT NULL,
    name       TEXT NOT NULL,
    PRIMARY KEY (version_id, role, name)
);
-- The item that each annotator has in hand, or had last. It is theirs until until_ns and nobody has to take it back.
CREATE TABLE annotation_lease (
    version_id TEXT   NOT NULL REFERENCES version (id),
    annotator  TEXT   NOT NULL,
    item       BIGINT NOT NULL,
    begun_ns   BIGINT NOT NULL,
    until_ns   BIGINT NOT NULL,
    PRIMARY KEY (version_id, annotator)
);
CREATE TABLE annotation_label (
    version_id  TEXT   NOT NULL REFERENCES version (id),
    item        BIGINT NOT NULL,
    annotator   TEXT   NOT NULL,
    -- As JSON; NULL where the annotator skipped the item.
    value       TEXT,
    -- Why it was skipped.
    skipped     TEXT,
    comment     TEXT,
    -- How long it took, where that is known.
    took_ms     BIGINT,
    -- How often the annotator said something else before.
    changes     BIGINT NOT NULL,
    -- Who sent it, as the audit log names them.
    sender      TEXT   NOT NULL,
    labelled_ns BIGINT NOT NULL,
    PRIMARY KEY (version_id, item, annotator)
);
CREATE INDEX annotation_label_by_annotator ON annotation_label (version_id, annotator, item);
-- What was decided of an item, whatever its labels are.
CREATE TABLE annotation_decision (
    version_id TEXT   NOT NULL REFERENCES version (id),
    item       BIGINT NOT NULL,
    value      TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    decider    TEXT   NOT NULL,
    decided_ns BIGINT NOT NULL,
    PRIMARY KEY (version_id, item)
);
