"""Whether the answers about debits reached their callers."""
