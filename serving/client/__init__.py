"""Clients of a server: `Client`, `AsyncClient`, and what both share."""
