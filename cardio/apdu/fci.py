"""File control information: a card's description of a selected file (ISO/IEC 7816-4 §7.4).

That of a social security environment is: ``6F { 84 name, A5 { 88 SFI of the directory file, 9F0C { 86 algorithm } }
}``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cardio.apdu.tlv import parse_ber_tlv
from cardio.errors import CardGarbledError

_TEMPLATE, _NAME, _DIRECTORY_SFI, _ISSUER_DATA, _ALGORITHM = 0x6F, 0x84, 0x88, 0x9F0C, 0x86


@dataclass(frozen=True, slots=True)
class Fci:
    """The parts of an FCI that reading needs; a part that the card leaves out is None."""

    name: bytes | None
    directory_sfi: int | None
    algorithm_marker: int | None
    """The algorithm: 01 3DES, 02 SSF33, 03 SM4; cards without it use 3DES."""

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Parse an FCI template.

        Raises:
            CardGarbledError: it is not a 6F template, or a length in it is wrong.
        """
        templates = [node for node in parse_ber_tlv(raw) if node.tag == _TEMPLATE]
        if not templates:
            raise CardGarbledError("文件控制信息无法解析", "the answer to SELECT is not an FCI template")
        template = templates[0]
        name, sfi, issuer = (template.find(tag) for tag in (_NAME, _DIRECTORY_SFI, _ISSUER_DATA))
        marker = None
        if issuer is not None:
            # 9F0C is a primitive tag, but its value is TLV.
            inner = next((n for n in parse_ber_tlv(issuer.value) if n.tag == _ALGORITHM), None)
            marker = inner.value[0] if inner is not None and inner.value else None
        return cls(
            name=name.value if name else None,
            directory_sfi=sfi.value[0] if sfi and sfi.value else None,
            algorithm_marker=marker,
        )
