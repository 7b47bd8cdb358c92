"""Questions asked and searches made at a terminal, or in a pipe. Talks to a server in the words of the wire."""
