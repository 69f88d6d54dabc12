"""The book as a machine: chapters, runs, claims, tables, and how it is built."""
