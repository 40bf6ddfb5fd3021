"""Doors to other libraries, a room for each; every one is imported when it is needed and not before."""
