"""From a table of scores to the pictures that are wanted, as copies, links or a list.

| module | what it knows |
|---|---|
| `expression` | `quality > 60 and 'holiday' in path`: a small language about rows, nothing of it executed |
| `alike` | near-duplicates |
| `choose` | which rows, in which order |
| `place` | copies and links in a folder that appears whole |
| `listing` | a list of paths or a table of rows |
"""
