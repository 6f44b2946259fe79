"""How well text is foreseen, beside simple methods."""
