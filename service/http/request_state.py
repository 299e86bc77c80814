"""Names under which the gate leaves what it knows in a request's state."""

from __future__ import annotations

REQUEST_ID, CALLER = "request_id", "caller"
