"""The file of the journal of debits: held by one process, chained, marked elsewhere, backed up, archived."""
