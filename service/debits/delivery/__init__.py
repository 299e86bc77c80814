"""The delivery of answers about debits to their callers."""
