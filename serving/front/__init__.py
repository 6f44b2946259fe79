"""What every request passes, by gRPC or REST: TLS, tokens, limits, metrics, health, the request log."""
