"""The building blocks of the book, one module per subject."""
