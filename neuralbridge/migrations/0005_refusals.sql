-- Why a document was refused, in a word.

ALTER TABLE jobs ADD COLUMN reason TEXT;    -- for programs, beside `code`; NULL: not known
