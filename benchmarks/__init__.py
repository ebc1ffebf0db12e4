"""One file for each figure in the README; each prints a table and, as its last line, one JSON object."""
