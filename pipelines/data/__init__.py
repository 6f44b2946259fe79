"""Raw data, shared by tasks: records, splits, vocabularies, series, pictures."""
