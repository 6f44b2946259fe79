"""How a file becomes rows and columns: what training, `unroll predict` and the monitor all read by."""
