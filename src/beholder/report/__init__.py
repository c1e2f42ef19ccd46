"""One self-contained HTML page about a file of scores.

| module | what it knows |
|---|---|
| `page` | `write_report`: from a table of scores to a file that keeps to its size |
| `numbers` | what the page counts: spreads and folders |
| `figures` | histograms, ranges and intervals as SVG |
| `sections` | the parts of the page that need no script |
| `gallery` | rows and thumbnails as data for `page.js` |
| `thumbnails` | small pictures of a size that fits the page |
| `pairs` | another page: pictures before and after they were enlarged |
| `conflicts` | another page: samples of several modalities that show different emotions |
| `page.html`, `page.css`, `page.js`, `pairs.html`, `pairs.css`, `conflicts.*` | the pages themselves |
"""
