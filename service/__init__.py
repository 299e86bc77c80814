"""The local bridge: cardio over HTTP, for the programs of one machine and nobody else."""
