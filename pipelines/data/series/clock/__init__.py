"""The clock of a table of series: zones, steps shorter than a second, and how graphs take them."""
