"""The nets: what they are, where they come from, and how a picture becomes faces with embeddings."""
