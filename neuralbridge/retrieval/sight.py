"""What a user may see of the library, known before it is searched: the best of all would hide the best of theirs."""

import sqlite3
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from neuralbridge.database import Database, snapshot
from neuralbridge.retrieval.arrays import Ids
from neuralbridge.retrieval.sharing import VISIBLE

KEPT = 64  # users whose passages are remembered


@dataclass(frozen=True, slots=True)
class Sight:
    """The passages that `user` may see; None where these are all there are."""

    user: str
    passages: Ids | None


class Sights:
    """Finds out what users may see, and remembers it until the library changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[str, tuple[int, Sight]] = OrderedDict()  # only used on the reading connection's thread

    async def of(self, user: str) -> Sight:
        def look(connection: sqlite3.Connection) -> Sight:
            with snapshot(connection):
                (generation,) = connection.execute("SELECT generation FROM library").fetchone()
                known = self._known.get(user)
                sight = known[1] if known and known[0] == generation else sight_of(connection, user)
            self._known[user] = generation, sight
            self._known.move_to_end(user)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
            return sight

        return await self._database.read(look)


def sight_of(connection: sqlite3.Connection, user: str) -> Sight:
    # Two ranges of the index of owners: with one owner there is nothing to look at
    hidden = connection.execute(
        f"SELECT 1 FROM documents d WHERE (d.owner < :user OR d.owner > :user) AND NOT {VISIBLE} LIMIT 1",  # noqa: S608
        {"user": user},
    ).fetchone()
    if hidden is None:
        return Sight(user, None)
    rows = connection.execute(
        f"SELECT p.id FROM documents d CROSS JOIN passages p ON p.document = d.id WHERE {VISIBLE}",  # noqa: S608
        {"user": user},
    )
    return Sight(user, np.fromiter((id for (id,) in rows), np.int64))
