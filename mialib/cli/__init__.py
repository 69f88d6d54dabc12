"""The command `mia`."""
