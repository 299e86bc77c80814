"""``cardio pki``: certificates of a third-generation card, signing with it, and verifying without it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardio.cli.card_options import add_card_arguments, work_on_card
from cardio.cli.colour import Colour
from cardio.cli.command import DONE, Command
from cardio.cli.key_options import entered_pin
from cardio.cli.language import title_in
from cardio.cli.output import Output
from cardio.errors import UsageError

if TYPE_CHECKING:
    from cardio.pki.certificate import Certificate

_REFUSED = 1
_DEFAULT_USER = "1234567812345678"


def _add_arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="显示证书 / the certificates, decoded")
    show.add_argument("--pem", action="store_true", help="同时输出 PEM / also as PEM")
    sign = actions.add_parser("sign", help="用卡签名（实验性） / sign a file with the card (experimental)")
    sign.add_argument("file", metavar="FILE", type=Path)
    verify = actions.add_parser("verify", help="验证签名，不需要卡 / verify a signature; no card is needed")
    verify.add_argument("file", metavar="FILE", type=Path)
    verify.add_argument("--signature", metavar="HEX", required=True, help="128 位十六进制 / r and s, 128 hex digits")
    verify.add_argument("--certificate", metavar="PEM", type=Path, required=True)
    for action in (show, sign):
        action.add_argument(
            "--pki-layout", metavar="FILE", type=Path, help="本地命令描述，见 docs/pki.md / your card's own commands"
        )
        add_card_arguments(action, pin=False)
    for action in (sign, verify):
        action.add_argument("--user-id", default=_DEFAULT_USER, help="SM2 用户标识 / the SM2 user id")


def _run(options: Namespace, output: Output) -> int:
    return {"show": _show, "sign": _sign, "verify": _verify}[options.action](options, output)


def _show(options: Namespace, output: Output) -> int:
    from cardio.pki.card_pki import CardPki

    layout = _layout(options)
    contents = work_on_card(options, output, lambda card: CardPki(card, layout).contents())
    certificates = {
        "signature": contents.signature_certificate,
        "encryption": contents.encryption_certificate,
    }
    if output.as_json:
        document: dict[str, Any] = {name: _document(one, options.pem) for name, one in certificates.items()}
        problems = [{"detail": one.zh, "detail_en": one.en} for one in contents.problems]
        output.document({"certificates": document, "problems": problems})
        return DONE
    titles = {"signature": ("签名证书", "signature certificate"), "encryption": ("加密证书", "encryption certificate")}
    for name, certificate in certificates.items():
        output.text(output.label(*titles[name]))
        if certificate is not None:
            output.table(_rows(certificate, output), labels=1)
            if options.pem:
                output.text(certificate.pem)
    for problem in contents.problems:
        output.warning(output.named("注意", "warning", output.words(problem.zh, problem.en)))
    return DONE


def _rows(certificate: Certificate, output: Output) -> list[tuple[str, str]]:
    from cardio.pki.certificate import name_text

    valid = {True: "有效 valid", False: "不在有效期内 not within its dates", None: "?"}
    rows = [
        ("持有者 subject", name_text(certificate.subject) if certificate.subject else "—"),
        ("颁发者 issuer", name_text(certificate.issuer) if certificate.issuer else "—"),
        ("序列号 serial number", certificate.serial_number or "—"),
        ("有效期 validity", f"{certificate.not_before or '?'} – {certificate.not_after or '?'}"),
        ("现在 now", title_in(output.language, valid[certificate.valid_at(datetime.now(UTC))])),
        ("算法 algorithm", certificate.algorithm or "—"),
        ("公钥 public key", certificate.public_key.hex().upper() if certificate.public_key else "—"),
    ]
    return [(f"  {title_in(output.language, title)}", text) for title, text in rows]


def _document(certificate: Certificate | None, pem: bool) -> dict[str, Any] | None:
    from cardio.pki.certificate import name_text

    if certificate is None:
        return None
    return {
        "subject": name_text(certificate.subject) if certificate.subject else None,
        "issuer": name_text(certificate.issuer) if certificate.issuer else None,
        "serial_number": certificate.serial_number,
        "not_before": certificate.not_before.isoformat() if certificate.not_before else None,
        "not_after": certificate.not_after.isoformat() if certificate.not_after else None,
        "valid_now": certificate.valid_at(datetime.now(UTC)),
        "algorithm": certificate.algorithm,
        "public_key": certificate.public_key.hex().upper() if certificate.public_key else None,
        "damage": [{"detail": one.zh, "detail_en": one.en} for one in certificate.damage],
        **({"pem": certificate.pem} if pem else {}),
    }


def _sign(options: Namespace, output: Output) -> int:
    from cardio.pki.card_pki import CardPki

    message, layout = _content(options.file), _layout(options)
    pin = entered_pin(options, "证书密码 certificate PIN")
    signature = work_on_card(
        options,
        output,
        lambda card: CardPki(card, layout).sign(
            message, pin, user_id=options.user_id.encode(), accept_last_try=options.accept_last_try
        ),
        repeat=False,
    )
    if output.as_json:
        output.document({"signature": signature.hex().upper(), "experimental": True})
    else:
        output.text(signature.hex().upper())
    return DONE


def _verify(options: Namespace, output: Output) -> int:
    from cardio.pki.certificate import decode_certificate, from_pem

    try:
        signature = bytes.fromhex(options.signature)
    except ValueError as error:
        raise UsageError("--signature 应为十六进制", "--signature is hex") from error
    text = _content(options.certificate).decode("utf-8", "replace")
    certificate = decode_certificate(from_pem(text))
    right = certificate.sm2_key.verify(_content(options.file), signature, options.user_id.encode())
    valid = certificate.valid_at(datetime.now(UTC))
    if output.as_json:
        output.document({"signature_right": right, "certificate_valid_now": valid})
    else:
        if right:
            output.text("签名正确", "the signature is right", colour=Colour.GOOD)
        else:
            output.text("签名不正确", "the signature is wrong", colour=Colour.BAD)
        if valid is not True:
            output.warning("注意：证书不在有效期内", "warning: the certificate is not within its dates")
        output.note("未核对颁发者与吊销", "issuer and revocation were not looked at")
    return DONE if right else _REFUSED


def _layout(options: Namespace) -> Any:
    from cardio.pki.layout import load_pki_layout, pki_layout

    return pki_layout() if options.pki_layout is None else load_pki_layout(options.pki_layout)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"无法读取 {path}：{error.strerror}", f"cannot read {path}: {error.strerror}") from error


PKI = Command(
    name="pki",
    help="第三代卡的证书：查看、签名、验签 / certificates of a third-generation card: show, sign, verify",
    examples=(
        "  cardio pki show --reader sim:third-generation\n"
        "  cardio pki sign contract.pdf --reader sim:third-generation\n"
        "  cardio pki verify contract.pdf --signature 3045… --certificate holder.pem"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
