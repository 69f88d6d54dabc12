"""A model behind HTTP, and a client that attacks one."""
