"""How the rooms of the library say what is public."""
