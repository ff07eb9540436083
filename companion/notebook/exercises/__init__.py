"""The exercises of the book: one module per subject, each with a table ``EXERCISES``."""
