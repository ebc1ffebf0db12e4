"""Live pictures: one reader and one rendering of a stream, however many watch."""
