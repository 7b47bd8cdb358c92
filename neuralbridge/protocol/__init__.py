"""The wire as pure functions and state machines: text in, events out. No asyncio, no clocks, no ids of its own."""
