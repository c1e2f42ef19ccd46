"""Plan, shard, part file: a folder of pictures becomes one table.

| module | what it knows |
|---|---|
| `run` | `score`: from inputs and options to a `Run` |
| `settings` | how pictures are scored, whatever becomes of the rows |
| `execute` | the three ways a run goes |
| `plan` | what a run to a file will do, on disk, so that it can be resumed |
| `lock` | one run at a time per output file |
| `shards` | scores in any order become whole shards of rows |
| `workers`, `worker` | the crew of processes, and what one of them does |
| `machines`, `merge` | one list over several machines, and their outputs as one file |
| `cascade`, `picks` | a fast model for all, a slow one where it matters; which pictures, and the table of both |
| `agreement` | how far two models agree |
| `rows`, `files`, `sort` | the table: columns, file formats, order |
| `summary`, `report` | counts and speed; a run in words |
"""
