"""The local bridge: cardio over HTTP, only for the programs of one machine."""
