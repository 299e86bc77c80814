import pytest

from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import describe
from cardio.errors import CardGarbledError


def test_data_and_status_word_are_split() -> None:
    response = ResponseApdu.from_bytes(bytes.fromhex("0201339000"))
    assert (response.data, response.status_word, response.ok) == (bytes.fromhex("020133"), 0x9000, True)
    assert bytes(response) == bytes.fromhex("0201339000")


@pytest.mark.parametrize("raw", ["", "90", "0000", "FF01", "6000", "AABB1234"])
def test_what_is_no_answer_is_garbled(raw: str) -> None:
    with pytest.raises(CardGarbledError):
        ResponseApdu.from_bytes(bytes.fromhex(raw))


@pytest.mark.parametrize(
    ("status_word", "zh", "en"),
    [
        (0x9000, "成功", "success"),
        (0x6982, "不满足安全条件", "security status not satisfied"),
        (0x63C2, "校验失败，还可尝试 2 次", "verification failed, 2 tries left"),
        (0x6C12, "长度错误，应为 18 字节", "wrong length, 18 bytes are there"),
        (0x6100, "还有 256 字节可取", "256 more bytes to fetch"),
        (0x6FFF, "未知状态字 6FFF", "unknown status word 6FFF"),
    ],
)
def test_every_status_word_has_words(status_word: int, zh: str, en: str) -> None:
    assert describe(status_word) == (zh, en)


def test_the_data_is_not_in_the_repr() -> None:
    assert "313233" not in repr(ResponseApdu(b"123", 0x9000))
