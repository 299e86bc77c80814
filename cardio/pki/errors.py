"""The errors of certificates, signatures and envelopes of the card's certificate application (证书应用).

::

    CardioError
    └── CardError
        ├── NoPkiError                  no-pki                       use a card that has the application
        ├── NoCertificateError          no-certificate               have it written by the issuing authority
        ├── CertificateUnusableError    certificate-unusable         have it replaced
        ├── PublicKeyError              public-key                   have it replaced
        ├── PkiPinNeededError           pki-pin-needed               present the PIN first
        ├── SignatureNotValidError      signature-not-valid          do not use it; have the card checked
        └── EnvelopeError               envelope                     have it sealed again, for this card

The errors of a wrong or blocked PIN are in `cardio.security.errors`, as for the card's other PIN.
"""

from __future__ import annotations

from cardio.errors import CardError


class NoPkiError(CardError):
    code = "no-pki"
    title = "卡内没有证书应用"
    title_en = "The card has no certificate application"
    remedy = "只有第三代社会保障卡才可能有证书应用；需要时请持卡人到发卡机构办理。"
    remedy_en = "Only third-generation cards may have one; if it is needed, send the holder to the issuing authority."
    status = 422
    driver_code = -0x6A82


class NoCertificateError(CardError):
    code = "no-certificate"
    title = "卡内没有写入证书或密钥"
    title_en = "No certificate or key has been written to the card"
    remedy = "请持卡人到发卡机构申领证书。"
    remedy_en = "Let the holder apply to the issuing authority for a certificate."
    status = 404
    driver_code = -0x6A82


class CertificateUnusableError(CardError):
    code = "certificate-unusable"
    title = "证书不能使用"
    title_en = "The certificate cannot be used"
    remedy = "请核对证书；若在卡内，请持卡人到发卡机构更换。"
    remedy_en = "Check the certificate; if it is the card's, have the issuing authority replace it."
    status = 422
    driver_code = -15


class PublicKeyError(CardError):
    code = "public-key"
    title = "公钥不正确"
    title_en = "The public key is not one"
    remedy = "请勿使用该密钥；请持卡人携卡到社保卡服务网点检测。"
    remedy_en = "Do not use this key; have the issuing authority check the card."
    status = 422
    driver_code = -15


class PkiPinNeededError(CardError):
    code = "pki-pin-needed"
    title = "需要先校验证书应用的密码"
    title_en = "The PIN of the certificate application comes first"
    remedy = "请持卡人输入证书应用的密码（PIN）后再操作。"
    remedy_en = "Let the holder enter the PIN of the certificate application, then go on."
    status = 403
    driver_code = -0x6982


class SignatureNotValidError(CardError):
    code = "signature-not-valid"
    title = "卡片的签名未通过核验，未输出"
    title_en = "The card's signature does not verify and was not given out"
    remedy = "请重新插卡再试；若仍失败，请核对公钥与卡片是否一致，并检查 pki.toml 中的签名命令。"
    remedy_en = "Insert the card and retry; then check that the key is this card's, and the command in pki.toml."
    status = 502
    driver_code = -15


class EnvelopeError(CardError):
    code = "envelope"
    title = "数字信封不能打开"
    title_en = "The digital envelope does not open"
    remedy = "请确认信封是用本卡的加密证书封装且未被改动。"
    remedy_en = "Make sure that it was sealed for this card's encryption certificate and was not altered."
    status = 422
    driver_code = -15
