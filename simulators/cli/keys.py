"""The key commands of ``cardio sim``: the file of test keys, the software HSM, the authority's side of driver steps."""

from __future__ import annotations

import os
import signal
import threading
from argparse import Namespace
from pathlib import Path

from cardio.cli.command import DONE
from cardio.cli.output import Output
from cardio.errors import CannotWriteError, UsageError


def ended_by_signal() -> threading.Event:
    """Return an event that is set when a person or the system ends the command."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    return ended


def write_keys(options: Namespace, output: Output) -> int:
    """Write the published test keys into a file that only its owner can read, because the library requires that."""
    from cardio.filesystem.layouts.loader import GENERATIONS, layout_of
    from simulators.crypto.published_keys import published_key_file

    keys = {key.name for generation in GENERATIONS for key in layout_of(generation).keys}
    path = Path(options.file)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(published_key_file())
    except FileExistsError as error:
        fault = CannotWriteError(f"{path} 已存在，未覆盖", f"{path} exists already and was left as it is")
        fault.remedy, fault.remedy_en = (
            "请换一个文件名，或先删除该文件。",
            "Choose another name, or delete the file first.",
        )
        raise fault from error
    except OSError as error:
        raise CannotWriteError(
            f"无法写入 {path}：{error.strerror}", f"cannot write {path}: {error.strerror}"
        ) from error
    if output.as_json:
        output.document({"file": str(path), "keys": len(keys)})
    else:
        output.text(
            f"已写入 {path}：公开的测试密钥，只对模拟卡有效",
            f"written: {path}: published test keys, good for software cards only",
        )
        output.text(f"{output.label('试用', 'try it')}: cardio read --reader sim:third-closed --sam soft:{path}")
    return DONE


def run_hsm(options: Namespace, output: Output) -> int:
    from simulators.sam.hsm import SoftwareHsm

    try:
        hsm = SoftwareHsm(options.port)
        hsm.start()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"端口 {options.port} 无法使用：{error}", f"cannot listen on port {options.port}: {error}"
        ) from error
    ended = ended_by_signal()
    if output.as_json:
        output.json_line({"url": hsm.url, "test_keys": True})
    else:
        output.text(
            f"软件加密机 {hsm.url}（测试密钥）；Ctrl-C 结束",
            f"a software HSM with test keys at {hsm.url}; Ctrl-C stops it",
        )
        output.text(f"{output.label('试用', 'try it')}: cardio read --reader sim:third-closed --sam hsm:{hsm.url}")
    ended.wait()
    hsm.stop()
    return DONE


def answer_step(options: Namespace, output: Output) -> int:
    """Return the authority's answer to one step of the driver's HSM functions."""
    from simulators.sam import hsm_driver_steps as hsm_steps

    try:
        if options.kind == "read":
            answer = hsm_steps.read_step_1_to_2(options.text)
        else:
            if not options.historical_bytes or not options.city:
                raise UsageError("需要 --historical-bytes 和 --city", "--historical-bytes and --city are needed")
            steps = {
                "general": hsm_steps.general_step_1_to_2,
                "pin": hsm_steps.pin_step_2_to_3,
                "debit": hsm_steps.debit_step_1_to_2,
            }
            answer = steps[options.kind](options.text, options.historical_bytes, options.city)
    except ValueError as error:
        raise UsageError(f"步骤数据不正确：{error}", f"the step's data are wrong: {error}") from error
    if output.as_json:
        output.document({"output": answer})
    else:
        output.text(answer)
    return DONE
