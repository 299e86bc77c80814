"""The judgement of a web site by its origin: the part of its name that identifies it, and similar names."""
