"""How well faces are recognised on pictures of known people, and the threshold that follows from it."""
