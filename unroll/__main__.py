"""`python -m unroll`, the same as the command `unroll`."""

from unroll.cli import main

main()
