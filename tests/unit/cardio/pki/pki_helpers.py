"""What the tests of the certificate application share: published and OpenSSL's values, and cards to talk to."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import simulators
from cardio.apdu.channel import Channel, Flow, TransmissionProtocol
from cardio.apdu.transcript import Transcript
from cardio.pki.layout import pki_layout
from cardio.pki.sm2 import PublicKey
from simulators.card.pki import PkiApplication

Result = TypeVar("Result")

LAYOUT = pki_layout()
# openssl ec -text of the software card's signature key
POINT = (
    "45F13BB0718ECE4D8D30271CB4116DCDF4289C892368633D8CB63BDF7A28B6CF"
    "0AC818C3AB406A7F57A508EEBE2D5DE5D8BA20C4798860627748838B2A1C0173"
)
KEY = PublicKey(bytes.fromhex(POINT))
# SM3 of ZA and "TEST message", put together with printf, xxd and openssl dgst -sm3; the signature is by openssl pkeyutl
DIGEST = "F99DEDCDCFEECBCF671E045F1D6053897737C2F7254D05D7D6274981E6061F09"
SIGNATURE = (
    "A8E0903E6D8A2F01124CABB691ACDB0CA1A8472DAC9B1220A575CEAB744304C8"
    "866B39DB8361F871C7B777DB20310D392BC2152E268967E12F3DAE4289D155F8"
)


def der_of(name: str) -> bytes:
    """A certificate of the software card, without any code under test."""
    text = (Path(simulators.__file__).parent / "card" / "certificates" / name).read_text(encoding="utf-8")
    return base64.b64decode(text.split("CERTIFICATE-----")[1].removesuffix("-----END "))


def run(exchanges: list[tuple[str, str]], plan: Callable[[], Flow[Result]]) -> Result:
    """A plan against a transcript, which must be played to its end whatever comes of it."""
    card = Transcript(exchanges)
    try:
        return Channel(card).run(plan())
    finally:
        assert card.finished


class Software:
    """The software card's application behind a channel; what is not its affair does not exist."""

    protocol = TransmissionProtocol.T0

    def __init__(self, **settings: object) -> None:
        self.application = PkiApplication(**settings)  # type: ignore[arg-type]

    def transmit(self, command: bytes) -> bytes:
        answer = self.application.transmit(command)
        return b"\x6a\x82" if answer is None else answer
