"""One server from its command line: flags, settings, processes."""
