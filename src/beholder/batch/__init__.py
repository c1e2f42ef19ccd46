"""Plan, shard, part file: a folder of pictures becomes one table."""
