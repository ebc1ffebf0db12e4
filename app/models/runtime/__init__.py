"""Where and how nets run: the device, the session, and what of a graph is changed for it."""
