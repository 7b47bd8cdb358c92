-- Conversations and their messages. Messages form a tree: an edited question or a second answer is another child of
-- the same parent. The active branch is the path from `leaf` up to the root.

CREATE TABLE conversations (
    id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    session_id TEXT NOT NULL,
    leaf INTEGER REFERENCES messages (id),
    created_at TEXT NOT NULL,
    UNIQUE (owner, session_id)
) STRICT;

CREATE TABLE messages (
    id INTEGER PRIMARY KEY,                 -- order; wall time is for display only
    uid TEXT NOT NULL UNIQUE,               -- the name the outside knows it by
    conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    parent INTEGER REFERENCES messages (id),
    depth INTEGER NOT NULL,                 -- messages above it on its branch, itself included
    role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
    content TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('complete', 'streaming', 'cancelled', 'interrupted', 'error')),
    metadata TEXT NOT NULL,                 -- JSON
    created_at TEXT NOT NULL
) STRICT;

CREATE INDEX messages_by_conversation ON messages (conversation);
CREATE INDEX messages_streaming ON messages (status) WHERE status = 'streaming';
