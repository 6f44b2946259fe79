"""How a cell, or several cells of a row, becomes a time."""
