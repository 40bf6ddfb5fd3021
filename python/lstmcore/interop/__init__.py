"""Other libraries' models: a room for each, imported when asked for. The public names are thin faces of them."""
