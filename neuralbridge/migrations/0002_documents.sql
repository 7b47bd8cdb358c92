-- The user's documents, cut into passages. A document, its passages, their vectors and their full text are written in
-- one transaction: whatever is here can be found, whole.

CREATE TABLE documents (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,               -- made from owner and key, so that an index built anew has the same names
    owner TEXT NOT NULL,
    key TEXT NOT NULL,                      -- where it comes from: a path, or a name it was sent under
    source TEXT NOT NULL,                   -- the name it is shown under
    folder TEXT,                            -- the watched folder it lies in
    kind TEXT NOT NULL,
    title TEXT,
    version TEXT NOT NULL,                  -- sha256 of the bytes it was read from
    size INTEGER NOT NULL,                  -- bytes
    centroid BLOB,                          -- mean of its passages' vectors, float32, normalised
    centroid_model TEXT,
    passages INTEGER NOT NULL,
    pinned INTEGER NOT NULL DEFAULT 0,
    metadata TEXT NOT NULL,                 -- JSON
    modified_at TEXT NOT NULL,              -- the document's own date; ISO 8601, UTC
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    characters INTEGER NOT NULL,            -- of the text
    text TEXT NOT NULL,                     -- as extracted; passages are parts of it. Last: the rest is read without it
    UNIQUE (owner, key)
) STRICT;

CREATE INDEX documents_by_version ON documents (version);
CREATE INDEX documents_by_folder ON documents (folder) WHERE folder IS NOT NULL;

CREATE TABLE passages (
    id INTEGER PRIMARY KEY,                 -- made from document, version and span, for the same reason
    document INTEGER NOT NULL REFERENCES documents (id),
    start INTEGER NOT NULL,                 -- characters of documents.text
    end INTEGER NOT NULL,
    page INTEGER,
    heading TEXT NOT NULL,                  -- headings above it, the widest first, " > " between
    name TEXT NOT NULL,                     -- the words of the document's name
    text TEXT NOT NULL,
    extra TEXT NOT NULL,                    -- words that full text would not find in the text by itself
    embedded BLOB NOT NULL                  -- sha256 of what was embedded; equal texts are embedded once
) STRICT;

CREATE INDEX passages_by_document ON passages (document, start);
CREATE INDEX passages_by_embedded ON passages (embedded);

CREATE TABLE vectors (
    id INTEGER PRIMARY KEY,
    passage INTEGER NOT NULL REFERENCES passages (id) ON DELETE CASCADE,
    model TEXT NOT NULL,
    vector BLOB NOT NULL,                   -- float32, normalised
    UNIQUE (passage, model)
) STRICT;

CREATE INDEX vectors_by_model ON vectors (model, passage);

-- Fed by the statements that write passages, not by triggers: with trusted_schema off, triggers may not use FTS5.
CREATE VIRTUAL TABLE passages_text USING fts5 (
    name, heading, text, extra,
    content = 'passages', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2'
);

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,                 -- order
    uid TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    source TEXT NOT NULL,
    upload TEXT,                            -- file name in the folder of uploads, while it is needed
    metadata TEXT NOT NULL,                 -- JSON
    modified_at TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'reading', 'embedding', 'done', 'failed')),
    code TEXT,                              -- why it failed, for programs
    error TEXT,                             -- and for people
    document TEXT,                          -- uid of what it became
    passages INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

CREATE INDEX jobs_unfinished ON jobs (state) WHERE state IN ('queued', 'reading', 'embedding');

-- The passages that went into the prompt with a question. They stay in that turn: whatever is computed for it holds.
ALTER TABLE messages ADD COLUMN context TEXT NOT NULL DEFAULT '[]';   -- JSON
