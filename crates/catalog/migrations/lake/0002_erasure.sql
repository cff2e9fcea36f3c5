-- A tombstone holds in one project, or in all where there is none. `members` are groups of rows, one a line, in which a
-- row without a subject is the subject's too: an end user's traces.
ALTER TABLE tombstone ADD COLUMN project TEXT;
ALTER TABLE tombstone ADD COLUMN members TEXT;
