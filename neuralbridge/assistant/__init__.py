"""The product: one question in, a stream of events out. Knows no topics, refs, statuses, aiohttp or ctypes."""
