"""A cluster of machines as the crew of one run.

| module | what it knows |
|---|---|
| `cluster` | shards out to the actors of a Ray cluster, rows back, lost actors replaced |
| `hand` | what one actor does |
"""
