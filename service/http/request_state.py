"""The keys under which the gate stores its data in a request's state."""

from __future__ import annotations

REQUEST_ID, CALLER = "request_id", "caller"
