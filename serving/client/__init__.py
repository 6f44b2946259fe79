"""Clients of a server: `Client`, `AsyncClient`, and the dialogue that both hold."""
