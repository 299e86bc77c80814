"""Certificates and keys of third-generation cards (SM2): read, sign, verify, envelopes.

Example:
    >>> from cardio.pki import pki_layout
    >>> pki_layout().pins.user.title_en
    'user PIN'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardio.public.lazy_imports import import_lazily

if TYPE_CHECKING:
    from cardio.pki.application import read_contents as read_contents
    from cardio.pki.application import select_pki as select_pki
    from cardio.pki.application import sign as sign
    from cardio.pki.certificate import Certificate as Certificate
    from cardio.pki.envelope import open_envelope as open_envelope
    from cardio.pki.envelope import seal as seal
    from cardio.pki.layout import load_pki_layout as load_pki_layout
    from cardio.pki.layout import pki_layout as pki_layout
    from cardio.pki.pin import verify_pin as verify_pin

_HOMES = {
    "Certificate": "certificate",
    "load_pki_layout": "layout",
    "open_envelope": "envelope",
    "pki_layout": "layout",
    "read_contents": "application",
    "seal": "envelope",
    "select_pki": "application",
    "sign": "application",
    "verify_pin": "pin",
}
__all__ = sorted(_HOMES)
__getattr__ = import_lazily(__name__, _HOMES)
