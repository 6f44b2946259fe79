"""Models that were trained elsewhere: checked, warmed up and registered."""
