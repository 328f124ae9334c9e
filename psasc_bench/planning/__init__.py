"""What the workflow's rules ask of a study: paths, digests, what is due."""
