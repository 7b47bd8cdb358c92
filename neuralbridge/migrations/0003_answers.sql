-- Answers that are given again, and what people say of answers.

-- Counts every change of a document, whoever makes it: an answer from before is looked at again before it is given.
CREATE TABLE library (generation INTEGER NOT NULL) STRICT;
INSERT INTO library VALUES (0);

CREATE TRIGGER document_added AFTER INSERT ON documents BEGIN
    UPDATE library SET generation = generation + 1;
END;

CREATE TABLE cached_answers (
    id INTEGER PRIMARY KEY,
    scope BLOB NOT NULL,                    -- sha256 of everything an answer depends on but the question's words
    question TEXT NOT NULL,                 -- normalised
    asked TEXT NOT NULL,                    -- ... and as it was typed
    message TEXT NOT NULL,                  -- uid of the answer that is repeated
    answer TEXT NOT NULL,
    receipt TEXT NOT NULL,                  -- JSON
    context TEXT NOT NULL,                  -- JSON: the passages that went into the prompt with the question
    evidence BLOB,                          -- sha256 of the passages that fitted; NULL: no document was asked
    generation INTEGER NOT NULL,            -- of the library, when the evidence was last found to be the same
    vector BLOB,                            -- of the question, float32, normalised
    vector_model TEXT,
    created_at TEXT NOT NULL,
    used_at TEXT NOT NULL,
    hits INTEGER NOT NULL DEFAULT 0,
    UNIQUE (scope, question)
) STRICT;

CREATE INDEX cached_answers_by_use ON cached_answers (used_at);
CREATE INDEX cached_answers_by_message ON cached_answers (message);

-- The documents whose passages an answer was given, or would have been given had there been room
CREATE TABLE cached_documents (
    answer INTEGER NOT NULL REFERENCES cached_answers (id) ON DELETE CASCADE,
    document TEXT NOT NULL,                 -- uid
    PRIMARY KEY (answer, document)
) STRICT, WITHOUT ROWID;

CREATE INDEX cached_documents_by_document ON cached_documents (document);

CREATE TRIGGER document_changed AFTER UPDATE ON documents BEGIN
    UPDATE library SET generation = generation + 1;
    DELETE FROM cached_answers WHERE OLD.version != NEW.version
        AND id IN (SELECT answer FROM cached_documents WHERE document = OLD.uid);
END;

CREATE TRIGGER document_removed AFTER DELETE ON documents BEGIN
    UPDATE library SET generation = generation + 1;
    DELETE FROM cached_answers WHERE id IN (SELECT answer FROM cached_documents WHERE document = OLD.uid);
END;

CREATE TABLE feedback (
    message INTEGER PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    rating INTEGER NOT NULL CHECK (rating IN (-1, 0, 1)),
    comment TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
