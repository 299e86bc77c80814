"""Status words and their meanings (ISO/IEC 7816-4 §5.6, PBOC and LD/T 32.5 for 93xx and 94xx)."""

from __future__ import annotations

from enum import IntEnum

from cardio.bilingual import Bilingual


class StatusWord(IntEnum):
    """The status words that the code names; any other number is legal too (see `describe`)."""

    SUCCESS = 0x9000
    SELECTED_FILE_INVALIDATED = 0x6283
    WRONG_LENGTH = 0x6700
    COMMAND_INCOMPATIBLE = 0x6981
    SECURITY_STATUS_NOT_SATISFIED = 0x6982
    AUTHENTICATION_BLOCKED = 0x6983
    NO_CHALLENGE = 0x6984
    CONDITIONS_NOT_SATISFIED = 0x6985
    NO_CURRENT_EF = 0x6986
    MAC_WRONG = 0x6988
    FUNCTION_NOT_SUPPORTED = 0x6A81
    FILE_NOT_FOUND = 0x6A82
    RECORD_NOT_FOUND = 0x6A83
    INCORRECT_P1_P2 = 0x6A86
    KEY_NOT_FOUND = 0x6A88
    WRONG_P1_P2 = 0x6B00
    INS_NOT_SUPPORTED = 0x6D00
    CLA_NOT_SUPPORTED = 0x6E00
    MAC_INVALID = 0x9302
    KEY_INDEX_NOT_SUPPORTED = 0x9403


TRIES_LEFT = 0x63C0
"""The upper twelve bits of 63Cx; x tries are left."""

_MEANINGS: dict[int, Bilingual] = {
    0x9000: Bilingual("成功", "success"),
    0x6281: Bilingual("返回的数据可能有误", "part of the returned data may be corrupt"),
    0x6282: Bilingual("文件长度小于要求的长度", "end of file before the asked length"),
    0x6283: Bilingual("选择的文件已失效", "the selected file is invalidated"),
    0x6581: Bilingual("存储器故障", "memory failure"),
    0x6700: Bilingual("长度错误", "wrong length"),
    0x6901: Bilingual("命令不接受（状态无效）", "command not accepted in this state"),
    0x6981: Bilingual("命令与文件结构不符", "command incompatible with the file structure"),
    0x6982: Bilingual("不满足安全条件", "security status not satisfied"),
    0x6983: Bilingual("密码或密钥已锁定", "the PIN or key is blocked"),
    0x6984: Bilingual("未取随机数或引用数据无效", "no challenge, or referenced data invalid"),
    0x6985: Bilingual("使用条件不满足", "conditions of use not satisfied"),
    0x6986: Bilingual("没有选择当前文件", "no current EF"),
    0x6987: Bilingual("缺少安全报文数据项", "a secure messaging object is missing"),
    0x6988: Bilingual("安全报文数据项（MAC）不正确", "a secure messaging object (MAC) is wrong"),
    0x6A80: Bilingual("数据域参数错误", "incorrect parameters in the data field"),
    0x6A81: Bilingual("不支持此功能，或卡片、应用已锁定", "function not supported, or card or application blocked"),
    0x6A82: Bilingual("未找到文件", "file or application not found"),
    0x6A83: Bilingual("未找到记录", "record not found"),
    0x6A84: Bilingual("文件空间不足", "not enough space in the file"),
    0x6A86: Bilingual("参数 P1 P2 错误", "incorrect P1 P2"),
    0x6A88: Bilingual("未找到引用的数据（密钥）", "referenced data (key) not found"),
    0x6B00: Bilingual("偏移或参数超出范围", "wrong P1 P2 (offset outside the file)"),
    0x6D00: Bilingual("不支持此命令", "instruction not supported"),
    0x6E00: Bilingual("不支持此命令类别", "class not supported"),
    0x6F00: Bilingual("卡片内部错误", "internal error of the card"),
    0x9302: Bilingual("MAC 无效", "invalid MAC"),
    0x9303: Bilingual("应用永久锁定", "application permanently blocked"),
    0x9401: Bilingual("金额不足", "amount too small"),
    0x9403: Bilingual("不支持此密钥索引", "key index not supported"),
    0x9406: Bilingual("所需 MAC 不可用", "required MAC not available"),
}


def describe(status_word: int) -> Bilingual:
    """Return the meaning of a status word, in Chinese and English, for any 16-bit number."""
    if known := _MEANINGS.get(status_word):
        return known
    low = status_word & 0xFF
    match status_word >> 8:
        case 0x61:
            return Bilingual(f"还有 {low or 256} 字节可取", f"{low or 256} more bytes to fetch")
        case 0x6C:
            return Bilingual(f"长度错误，应为 {low or 256} 字节", f"wrong length, {low or 256} bytes are there")
        case 0x63 if low >> 4 == 0xC:
            return Bilingual(f"校验失败，还可尝试 {low & 0xF} 次", f"verification failed, {low & 0xF} tries left")
    return Bilingual(f"未知状态字 {status_word:04X}", f"unknown status word {status_word:04X}")


def tries_in(status_word: int) -> int | None:
    """Return how many tries of a PIN or key are left by a status word, 0 when blocked; None if it does not give a
    number.
    """
    if status_word == StatusWord.AUTHENTICATION_BLOCKED:
        return 0
    return status_word & 0x0F if status_word & 0xFFF0 == TRIES_LEFT else None
