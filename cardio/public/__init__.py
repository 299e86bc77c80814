"""The tools with which the packages of the library declare their public names."""
