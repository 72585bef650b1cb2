"""The figures, one file a subject."""
