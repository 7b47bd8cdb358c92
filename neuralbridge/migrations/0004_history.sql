-- Conversations that are listed, named, pinned, searched and deleted.

ALTER TABLE conversations ADD COLUMN title TEXT;                          -- NULL: the first question names it
ALTER TABLE conversations ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN updated_at TEXT NOT NULL DEFAULT '';  -- when something was asked last

UPDATE conversations SET updated_at = coalesce(
    (SELECT max(created_at) FROM messages WHERE conversation = conversations.id), created_at);

CREATE INDEX conversations_by_use ON conversations (owner, pinned, updated_at);
-- What refers to a message: without these, deleting one would read all conversations and all messages
CREATE INDEX conversations_by_leaf ON conversations (leaf);
CREATE INDEX messages_by_parent ON messages (parent, conversation);

-- Every message but those that are still growing. Fed by statements, see passages_text.
CREATE VIRTUAL TABLE messages_text USING fts5 (
    content, content = 'messages', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2'
);

INSERT INTO messages_text (rowid, content) SELECT id, content FROM messages WHERE status != 'streaming';
