"""The clock of a table of series: zones, holidays, steps shorter than a second, and how graphs take them."""
