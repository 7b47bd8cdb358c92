// What a question may be, and what is too long for one. Pure.

export const LONGEST_QUESTION = 32_000; // characters; the server's limit
export const LONGEST_DOCUMENT = 20_000_000; // ... of the text of one
