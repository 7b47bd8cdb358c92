-- Documents that others may read, whose answers are kept, and owners who want everything of theirs deleted.

CREATE TABLE document_readers (
    document INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    reader TEXT NOT NULL,                   -- a user's name, or * for everybody
    PRIMARY KEY (document, reader)
) STRICT, WITHOUT ROWID;

CREATE INDEX document_readers_by_reader ON document_readers (reader);

-- Who may see what has changed: found before is not found now. Answers that rest on it go, whoever they were given to.
CREATE TRIGGER reader_added AFTER INSERT ON document_readers BEGIN
    UPDATE library SET generation = generation + 1;
END;

CREATE TRIGGER reader_removed AFTER DELETE ON document_readers BEGIN
    UPDATE library SET generation = generation + 1;
    DELETE FROM cached_answers WHERE id IN (
        SELECT c.answer FROM documents d JOIN cached_documents c ON c.document = d.uid WHERE d.id = OLD.document);
END;

ALTER TABLE cached_answers ADD COLUMN owner TEXT NOT NULL DEFAULT 'local';   -- until now there was no other

CREATE INDEX cached_answers_by_owner ON cached_answers (owner);
CREATE INDEX jobs_by_owner ON jobs (owner);

-- Owners whose things are being deleted. The row goes last, when no page of the file holds any of it any more.
CREATE TABLE forgotten (owner TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
