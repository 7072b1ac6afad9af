"""Stored traffic, sent to a service again, and its replies beside those of then.

- `pacing`     when each request is due
- `requests`   which stored exchanges can be sent again, and as what
- `sending`    the requests on their way, some at a time
- `comparing`  what differs between a reply and that of then
- `report`     all of it added up
"""
