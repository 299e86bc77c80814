"""Names of commands (ISO/IEC 7816-4 §5.4.2; PBOC and LD/T 32.5 for the others), by their INS byte."""

from __future__ import annotations

from cardio.bilingual import Bilingual

_NAMES: dict[int, Bilingual] = {
    0x20: Bilingual("校验个人密码", "VERIFY"),
    0x24: Bilingual("修改或重装个人密码", "CHANGE REFERENCE DATA"),
    0x2A: Bilingual("执行安全操作", "PERFORM SECURITY OPERATION"),
    0x22: Bilingual("管理安全环境", "MANAGE SECURITY ENVIRONMENT"),
    0x50: Bilingual("初始化交易", "INITIALIZE TRANSACTION"),
    0x52: Bilingual("圈存", "CREDIT"),
    0x54: Bilingual("消费", "DEBIT"),
    0x5A: Bilingual("取交易认证", "GET TRANSACTION PROOF"),
    0x5C: Bilingual("读余额", "GET BALANCE"),
    0x5E: Bilingual("修改个人密码", "CHANGE PIN"),
    0x82: Bilingual("外部认证", "EXTERNAL AUTHENTICATE"),
    0x84: Bilingual("取随机数", "GET CHALLENGE"),
    0x88: Bilingual("内部认证", "INTERNAL AUTHENTICATE"),
    0xA4: Bilingual("选择文件", "SELECT"),
    0xB0: Bilingual("读二进制", "READ BINARY"),
    0xB2: Bilingual("读记录", "READ RECORD"),
    0xC0: Bilingual("取响应", "GET RESPONSE"),
    0xCA: Bilingual("取数据", "GET DATA"),
    0xD4: Bilingual("重装密码", "RELOAD PIN"),
    0xD6: Bilingual("写二进制", "UPDATE BINARY"),
    0xDC: Bilingual("写记录", "UPDATE RECORD"),
    0xE2: Bilingual("追加记录", "APPEND RECORD"),
}

_PURSE_CLASS = 0xB0
_PURSE_NAMES: dict[int, Bilingual] = {
    0x26: Bilingual("读余额", "GET BALANCE"),
    0x28: Bilingual("初始化交易", "INITIALIZE TRANSACTION"),
    0x2A: Bilingual("账户划入", "CREDIT"),
    0x2C: Bilingual("消费", "DEBIT"),
}
"""The names in the class of account transactions, where the same bytes mean other commands."""


def command_name(command: bytes) -> Bilingual:
    """Return the name of a command; unknown bytes get a name too."""
    names = _PURSE_NAMES if command[:1] == bytes((_PURSE_CLASS,)) else _NAMES
    known = names.get(command[1]) if len(command) > 1 else None
    return known or Bilingual("未知命令", "unknown command")
