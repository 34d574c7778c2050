"""Where the text of each user is kept: a Parquet folder, PostgreSQL or Redis."""
