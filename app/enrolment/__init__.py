"""From photographs to templates: which face is meant, whether it will do, and why not."""
