"""How good translations are, beside simple methods."""
