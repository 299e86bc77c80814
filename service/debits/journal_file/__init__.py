"""The file of the journal of debits: used by one process, chained, marked elsewhere, backed up, archived."""
