"""The options about keys and PINs that commands share, and their meaning."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from getpass import getpass
from typing import TYPE_CHECKING

from cardio.cli.language import title_in

if TYPE_CHECKING:
    from cardio.security.credentials import Credentials
    from cardio.security.pin.pin import Pin

_LONGEST_LINE = 64
_PAD_DIGITS = 6


def add_key_arguments(parser: ArgumentParser, *, pin: bool = True) -> None:
    keys = parser.add_argument_group("密钥与密码 keys and PIN")
    keys.add_argument(
        "--sam",
        metavar="KIND:PLACE",
        help="密钥所在：soft:密钥文件、psam:读卡器、hsm:网址；默认见 security.toml 或 CARDIO_SAM / where the keys are",
    )
    if pin:
        keys.add_argument(
            "--pin", action="store_true", help="提示输入持卡人密码，不回显 / ask for the holder's PIN, without echo"
        )
    else:
        parser.set_defaults(pin=None)  # the command handles PINs itself
    keys.add_argument(
        "--pin-pad",
        type=int,
        nargs="?",
        const=_PAD_DIGITS,
        metavar="DIGITS",
        help="在读卡器密码键盘上输入，默认 6 位 / the holder enters it on the reader's key pad, six digits by default",
    )
    keys.add_argument(
        "--pin-stdin",
        action="store_true",
        help="从标准输入读取密码，一行一个 / PINs from standard input, one a line",
    )
    keys.add_argument(
        "--accept-last-try",
        action="store_true",
        help="持卡人同意使用最后一次密码尝试 / the holder consents to spend the last try",
    )


def credentials_of(options: Namespace, *, wants_pin: bool | None = None) -> Credentials | None:
    """Return the SAM and PIN of the options; None if they give neither, and no PIN is concerned.

    Args:
        options: the options of the command.
        wants_pin: True to ask for the holder's PIN; None leaves it to the options.

    Raises:
        UsageError, ConfigurationError: there is no such SAM, or its settings are wrong.
        PinEntryError: the entered text is no PIN.
    """
    from cardio.cli.reader_selection import find_reader
    from cardio.security.credentials import Credentials
    from cardio.security.errors import PinFormatError
    from cardio.security.pin.pin import LONGEST, SHORTEST
    from cardio.security.settings import SecuritySettings

    settings = SecuritySettings.load()
    sam = settings.sam_source(options.sam, find_reader)
    about_pin = wants_pin is not None
    if wants_pin is None:
        wants_pin = options.pin is not None and (options.pin or options.pin_stdin)
    pad_digits: int | None = options.pin_pad
    if pad_digits is not None and not SHORTEST <= pad_digits <= LONGEST:
        raise PinFormatError()
    pin = entered_pin(options, "持卡人密码 holder's PIN") if wants_pin and pad_digits is None else None
    if sam is None and pin is None and pad_digits is None and not about_pin and not settings.require_proof:
        return None
    return Credentials(
        sam=sam,
        pin=pin,
        pad_digits=pad_digits,
        accept_last_try=options.accept_last_try,
        origin="command line",
        settings=settings.terminal,
        pin_policy=settings.pin_policy,
        proof_policy=settings.proof_policy,
        laboratory=settings.laboratory,
    )


def entered_pin(options: Namespace, prompt: str) -> Pin:
    """Return a PIN from standard input, or from the terminal without echo.

    Args:
        options: the options of the command.
        prompt: what is asked for, declared as ``中文 english``.

    Raises:
        PinFormatError: the text is no PIN.
        PinEntryCancelledError: nothing was entered.
    """
    from cardio.security.errors import PinEntryCancelledError
    from cardio.security.pin.pin import Pin

    if options.pin_stdin:
        return Pin(sys.stdin.readline(_LONGEST_LINE).rstrip("\r\n"))
    try:
        return Pin(getpass(f"{title_in(options.language, prompt)}: "))
    except EOFError as error:
        raise PinEntryCancelledError() from error


def entered_new_pin(options: Namespace) -> Pin:
    """Return a new PIN; at the terminal it is entered twice.

    Raises:
        PinEntryMismatchError: the two entries differ.
        PinFormatError, PinEntryCancelledError: as for `entered_pin`.
    """
    from cardio.security.errors import PinEntryMismatchError

    new = entered_pin(options, "新密码 new PIN")
    if not options.pin_stdin and entered_pin(options, "再次输入 once more").digits != new.digits:
        raise PinEntryMismatchError()
    return new
