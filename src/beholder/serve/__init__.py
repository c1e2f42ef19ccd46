"""Scores over HTTP: an API, a page at `/`, and limits that hold.

| module | what it knows |
|---|---|
| `settings` | what a server is told when it starts |
| `lanes` | a bounded queue of pictures, and worker processes that take small batches of it |
| `answers` | the JSON that goes out |
| `intake` | the pictures that come in: multipart, base64, addresses of allowed hosts |
| `app` | the routes |
| `guard` | size and time of a request, its log line and its count |
| `metrics`, `log` | what Prometheus reads; one JSON object per line |
| `run` | uvicorn: start, refuse idlers, drain on SIGTERM |
| `page.html`, `page.css`, `page.js` | the page |
"""
