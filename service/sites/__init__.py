"""What a person can tell of a web site by its origin: which part of its name counts, and what the name resembles."""
