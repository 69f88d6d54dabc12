"""Answers of a service on disk, and what they cost."""

import sqlite3
from contextlib import closing

import numpy as np


class Ledger:
    """Answers on disk, and how many queries they cost; a killed run keeps both.

    Parameters
    ----------
    path : path
        Of a SQLite file.
    """

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._base = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._base.execute("PRAGMA synchronous = FULL")
        self._base.execute("CREATE TABLE IF NOT EXISTS answers (record BLOB PRIMARY KEY, vector BLOB NOT NULL)")
        self._base.execute("CREATE TABLE IF NOT EXISTS spent (n INTEGER NOT NULL)")
        self._base.execute("INSERT INTO spent SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM spent)")

    @property
    def spent(self):
        """Queries that were sent, each try counted (int)."""
        return self._base.execute("SELECT n FROM spent").fetchone()[0]

    def spend(self, n, budget):
        """Count queries before they are sent; return False, and count nothing, if the budget has no room."""
        room = "" if budget is None else "WHERE n + :n <= :budget"
        return self._base.execute(f"UPDATE spent SET n = n + :n {room}", {"n": n, "budget": budget}).rowcount == 1

    def refund(self, n):
        """Take back queries that were not served."""
        self._base.execute("UPDATE spent SET n = n - ?", (n,))

    def get(self, record):
        """Return the answer to a record, ndarray of float32, or None."""
        row = self._base.execute("SELECT vector FROM answers WHERE record = ?", (record,)).fetchone()
        return row and np.frombuffer(row[0], np.float32)

    def put(self, records, vectors):
        """Keep answers, all of them or none."""
        rows = [(record, vector.tobytes()) for record, vector in zip(records, vectors, strict=True)]
        with closing(self._base.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            cursor.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)
            cursor.execute("COMMIT")

    def close(self):
        """Close the file."""
        self._base.close()
