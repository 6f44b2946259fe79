"""One server from its command line.

`flags` reads the command line; `start` checks what it can at once and runs one `process`, or has a `supervisor` keep
several running; there `settings` makes `parameters` of the flags, and `model_server` of these endpoints, a dispatcher
and a backend that answer until they are told to stop.
"""
