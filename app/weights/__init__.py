"""The weights: what there is, where it is published, under which licence, and its files on this machine."""
