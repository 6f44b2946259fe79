"""The text of tables: where their records begin and end, and what they are called, before they are parsed."""
