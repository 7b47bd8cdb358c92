"""aiohttp in, aiohttp out: sockets, routes, static files. No SQL, no prompts, no engine."""
