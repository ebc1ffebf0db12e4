"""Media of the tests' own: made from the photographs that set-up fetches, with the truth beside it."""
