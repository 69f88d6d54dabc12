"""Answers of a service, and what they cost, in a file that outlives a killed run and that several processes share."""

import os
import secrets
import socket
import sqlite3
import time
from contextlib import contextmanager

import numpy as np

from mialib.base.files import is_running

PATIENCE = 30
"""Seconds for which another process may hold the file."""


class ServiceError(RuntimeError):
    """An endpoint that cannot be asked, or whose answers cannot be believed."""


class BudgetError(ServiceError):
    """Asking would pass the budget; nothing was sent."""


class StoreError(ServiceError):
    """A file of answers that cannot be read or written."""


ELSEWHERE = "or keep answers elsewhere (MIALIB_CACHE), where a budget begins anew"
WHAT_TO_DO = {
    "SQLITE_BUSY": f"another process has held it for {PATIENCE} seconds; wait until that ends",
    "SQLITE_FULL": f"its disk is full; make room there, {ELSEWHERE}",
    "SQLITE_IOERR": f"its disk fails or is full; make room there, {ELSEWHERE}",
    "SQLITE_READONLY": f"it cannot be written; permit that, {ELSEWHERE}",
    "SQLITE_CANTOPEN": f"it cannot be opened; permit that, {ELSEWHERE}",
}
"""By the first of the names of SQLite's errors."""
DAMAGED = (
    "it is damaged; what was spent of a budget stands in it, so no new one takes its place: bring it back from a copy, "
    "or remove it, and the budget begins anew"
)


class AnswerStore:
    """A SQLite file of answers, of how many queries they cost, and of records that somebody is asking about.

    Every method raises a `StoreError` if the file cannot be read or written.

    Parameters
    ----------
    path : Path
    n_classes : int
    """

    def __init__(self, path, n_classes):
        self.path, self._n_bytes = path, 4 * n_classes
        self._who = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(8)}"
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
            self._base.execute("PRAGMA synchronous = FULL")
        with self._alone():
            if not self._base.execute("SELECT 1 FROM sqlite_master").fetchone():  # else what is missing was lost
                self._base.execute("CREATE TABLE answers (record BLOB PRIMARY KEY, vector BLOB NOT NULL)")
                self._base.execute("CREATE TABLE spent (n INTEGER NOT NULL)")
                self._base.execute("INSERT INTO spent VALUES (0)")
            self._base.execute("CREATE TABLE IF NOT EXISTS asking (record BLOB PRIMARY KEY, who TEXT, until REAL)")
        self.close = self._base.close

    @contextmanager
    def _told(self):
        try:
            yield
        except sqlite3.ProgrammingError:  # such as a second thread: the file is not to blame
            raise
        except sqlite3.DatabaseError as error:
            name = "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])
            raise StoreError(f"{self.path} keeps answers: {WHAT_TO_DO.get(name, DAMAGED)} ({error})") from error
        except OSError as error:
            raise StoreError(f"{self.path} cannot keep answers ({error}); permit that, {ELSEWHERE}") from error

    @contextmanager
    def _alone(self):
        """Do all of what follows or nothing, while no other process writes."""
        with self._told(), self._base:
            self._base.execute("BEGIN IMMEDIATE")
            yield

    @property
    def spent(self):
        """Queries that were sent, each try counted (int)."""
        with self._told():
            row = self._base.execute("SELECT n FROM spent").fetchone()
            if row is None or type(row[0]) is not int:
                raise sqlite3.DatabaseError("no number is spent")
            return row[0]

    def spend(self, n, budget, seconds):
        """Count queries before they are sent, and keep claims for so long again.

        Return False, and change nothing, if the budget has no room.
        """
        with self._alone():
            if budget is not None and self.spent + n > budget:
                return False
            self._base.execute("UPDATE spent SET n = n + ?", (n,))
            self._keep(seconds)
            return True

    def refund(self, n):
        """Take back queries that were not served."""
        with self._told():
            self._base.execute("UPDATE spent SET n = n - ?", (n,))

    def get(self, record):
        """Return the answer to a record, ndarray of float32, or None."""
        with self._told():
            row = self._base.execute("SELECT vector FROM answers WHERE record = ?", (record,)).fetchone()
            if row and len(row[0]) != self._n_bytes:
                raise sqlite3.DatabaseError("an answer has another length")
            return row and np.frombuffer(row[0], np.float32)

    def put(self, records, vectors):
        """Keep answers, all of them or none; they are no longer claimed."""
        rows = [(record, vector.tobytes()) for record, vector in zip(records, vectors, strict=True)]
        with self._alone():
            self._base.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)
            self._base.executemany("DELETE FROM asking WHERE record = ?", [(record,) for record in records])

    def claim(self, records, budget, seconds):
        """Return the records that are to be asked about here: no answer is kept, and nobody else is asking.

        Parameters
        ----------
        records : list of bytes
        budget : int, optional
        seconds : float
            After which somebody else may ask about them, unless they are kept (`keep`); at once if this process dies.

        Returns
        -------
        list of bytes

        Raises
        ------
        BudgetError
            If the budget has no room for them; then none is claimed.
        """
        now = time.time()
        rows = [(record, self._who, now + seconds, record) for record in records]
        with self._alone():
            self._base.execute("DELETE FROM asking WHERE until < ?", (now,))
            dead = [who for who in self._base.execute("SELECT DISTINCT who FROM asking") if _is_dead(*who)]
            self._base.executemany("DELETE FROM asking WHERE who = ?", dead)
            self._base.executemany(
                "INSERT OR IGNORE INTO asking SELECT ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM answers WHERE record = ?)",
                rows,
            )
            mine = {row[0] for row in self._base.execute("SELECT record FROM asking WHERE who = ?", (self._who,))}
            if budget is not None and self.spent + len(mine) > budget:
                raise BudgetError(
                    f"{len(mine)} records are not answered yet, and of a budget of {budget} queries {self.spent} are "
                    "spent; ask about fewer records, or raise the budget"
                )
        return [record for record in records if record in mine]

    def keep(self, seconds):
        """Keep what is claimed for so long from now."""
        with self._told():
            self._keep(seconds)

    def _keep(self, seconds):
        self._base.execute("UPDATE asking SET until = ? WHERE who = ?", (time.time() + seconds, self._who))

    def release(self):
        """Claim nothing any longer."""
        with self._told():
            self._base.execute("DELETE FROM asking WHERE who = ?", (self._who,))


def _is_dead(who):
    """Return whether a process of this machine is known to have ended; of another machine's nothing is known."""
    host, pid, _ = who.rsplit(" ", 2)
    return host == socket.gethostname() and not is_running(int(pid))
