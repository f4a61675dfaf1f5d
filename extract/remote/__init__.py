"""Audio and stores that lie elsewhere: object storage and other file systems, through fsspec."""
