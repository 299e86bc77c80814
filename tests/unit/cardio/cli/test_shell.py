"""``cardio shell``: as a script runs it, and as a person types it."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import stat
import subprocess
import sys
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from cardio.cli.output import Output
from cardio.cli.shell import command as shell
from cardio.cli.shell.command import SHELL, Shell, history_path
from cardio.cli.shell.commands import COMMANDS
from cardio.cli.shell.session import Session
from cardio.errors import CardRemovedError, ConfigurationError
from cardio.filesystem.layouts.registry import LayoutChoice
from cardio.models.readers import ReaderInfo
from cardio.readers.base import Connection
from simulators.card.faults import with_fault
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.pcsc import wait_until

WHOLE = find_persona("whole")
PENSION = "DF03/EF07 养老保险信息文件"
VERIFY = "apdu 0020000003123456"


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@dataclass
class Said:
    """A shell on a reader, and all that it has printed."""

    shell: Shell
    stdout: io.StringIO
    stderr: io.StringIO

    def __call__(self, *lines: str) -> str:
        """What it answers to some lines, on either stream."""
        before = len(self.stdout.getvalue()), len(self.stderr.getvalue())
        for line in lines:
            self.shell.process(line)
        return self.stdout.getvalue()[before[0] :] + self.stderr.getvalue()[before[1] :]

    @property
    def place(self) -> str:
        return self.shell.session.place


def shell_on(reader: Any, *, as_json: bool = False) -> Said:
    stdout, stderr = io.StringIO(), io.StringIO()
    output = Output(as_json=as_json, stdout=stdout, stderr=stderr)
    return Said(Shell(Session(reader, LayoutChoice.installed(), output)), stdout, stderr)


@pytest.fixture
def reader() -> SoftwareReader:
    return SoftwareReader("r", WHOLE.card())


@pytest.fixture
def said(reader: SoftwareReader) -> Iterator[Said]:
    made = shell_on(reader)
    with made.shell.session:
        yield made


@dataclass
class RealReader:
    """A reader that is no simulator, as far as it says."""

    name: str = "Desk reader 00"
    simulated: bool = False
    inside: SoftwareReader = field(default_factory=lambda: SoftwareReader("inside", WHOLE.card()))

    def info(self) -> ReaderInfo:
        return self.inside.info()

    def connect(self) -> Connection:
        return self.inside.connect()


@dataclass
class Done:
    status: int
    stdout: str
    stderr: str

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]


def script(monkeypatch: pytest.MonkeyPatch, text: str | bytes, *arguments: str, as_json: bool = False) -> Done:
    """The command with a script on its standard input."""
    raw = text if isinstance(text, bytes) else text.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))
    parser = ArgumentParser()
    SHELL.add_arguments(parser)
    stdout, stderr = io.StringIO(), io.StringIO()
    options = parser.parse_args(list(arguments) or ["--reader", "sim:whole"])
    status = SHELL.run(options, Output(as_json=as_json, stdout=stdout, stderr=stderr))
    return Done(status, stdout.getvalue(), stderr.getvalue())


# -- scripts --------------------------------------------------------------------------------------


def test_a_script_selects_by_chinese_name_and_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    done = script(monkeypatch, "# 养老\n\nselect 养老保险\nshow\n")
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.startswith(PENSION) and "城镇企业职工基本养老保险 pension, urban employees (110)" in done.stdout
    assert "370202" in done.stdout and "20000701" in done.stdout


def test_a_line_that_fails_makes_the_status_1_and_the_others_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    done = script(monkeypatch, "select nothing\nselect DF03\n")
    assert done.status == 1 and "DF03 社会保险1" in done.stdout
    assert "没有“nothing”" in done.stderr and "there is no 'nothing'" in done.stderr


def test_a_closed_file_fails_and_says_what_opens_it(monkeypatch: pytest.MonkeyPatch) -> None:
    done = script(monkeypatch, "show DF03/EF07\n", "--reader", "sim:adult")
    assert done.status == 1 and "6982" in done.stderr and "PIN" in done.stderr


def test_exit_ends_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    done = script(monkeypatch, "quit\nselect nothing\n")
    assert (done.status, done.stdout, done.stderr) == (0, "", "")


def test_each_line_is_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["select 养老保险", "ls", "show", "raw", "item 70", "/", "tree", "dump", "read", "insurance", "employment"]
    lines += ["trace off", "apdu 00A4000002DF03", "connect", "help", "help ls", "select /", "ls", "exit"]
    done = script(monkeypatch, "\n".join(lines), as_json=True)
    assert done.status == 1  # "/" is no command
    answers = dict(zip(lines, done.documents, strict=True))
    assert answers["/"]["error"]["code"] == "usage" and answers["/"]["error"]["remedy"]
    assert answers["select 养老保险"] == {
        "place": "DF03/EF07",
        "title": "养老保险信息文件",
        "title_en": "Pension insurance",
    }
    assert answers["show"]["records"][0]["items"][0]["value"]["code"] == "110"
    assert answers["raw"]["records"][0] == {"number": 1, "tag": "70", "raw": "313130"}
    assert answers["item 70"]["items"][0]["label_en"] == "type of pension insurance"
    assert len(answers["tree"]["applications"]) == 8 and answers["dump"]["files"]
    assert answers["read"]["holder"]["name"] == "测试甲"
    assert answers["insurance"]["sections"] and answers["employment"]["sections"]
    assert answers["apdu 00A4000002DF03"]["meaning_en"] == "10 more bytes to fetch"
    assert [one["name"] for one in answers["help"]["commands"]] == [command.name for command in COMMANDS]
    assert answers["ls"]["applications"][0]["id"] == "SSSE"
    assert answers["exit"] == {"exit": True}


def test_an_error_is_a_document_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    done = script(monkeypatch, "show\napdu zz\n\nhelp nothing\n", as_json=True)
    assert done.status == 1
    assert [document["error"]["code"] for document in done.documents] == ["usage"] * 3


def test_bytes_that_are_no_text_bring_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    assert script(monkeypatch, b"\xff\xfe\x00\nselect \xb2\xe2\n").status == 1
    monkeypatch.setattr(sys, "stdin", None)
    assert SHELL.run(_options("--reader", "sim:whole"), Output(as_json=False)) == 0


def _options(*arguments: str) -> Any:
    parser = ArgumentParser()
    SHELL.add_arguments(parser)
    return parser.parse_args(list(arguments))


def test_a_layout_file_says_what_the_names_are(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = str(Path(shell.__file__).parents[2] / "filesystem" / "layouts" / "1.0.toml")
    done = script(monkeypatch, "select 流动就业证\n", "--reader", "sim:whole", "--layout", layout)
    assert done.stdout.startswith("DF02/EF09")


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (("DF03",), "DF03"),
        (("df03/ef07",), "DF03/EF07"),
        (("DF03", "ef07"), "DF03/EF07"),
        (("养老保险信息文件",), "DF03/EF07"),
        (("养老",), "DF03/EF07"),
        (("pension INSURANCE",), "DF03/EF07"),
        (("'Pension insurance'",), "DF03/EF07"),
        (("社会保险1",), "DF03"),
        (("Employment",), "DF02/EF06"),  # the whole title of one, a part of others
        (("DF03", "失业"), "DF03/EF05"),  # the near one
        (("养老", ".."), "DF03"),
        (("养老", "..", ".."), ""),
        (("..",), ""),
        (("养老", "/"), ""),
        (("养老", "DF04"), "DF04"),
        (("养老", "EF05"), "DF03/EF05"),
        (("养老", "指纹"), "SSSE/EF07"),
        (("养老", ""), "DF03/EF07"),
    ],
)
def test_a_place_has_many_names(said: Said, names: tuple[str, ...], place: str) -> None:
    answer = said(*(f"select {name}" for name in names))
    assert said.place == place and "错误" not in answer


@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("EF07", ("SSSE/EF07 指纹数据文件", PENSION, "DF03/EF07 Pension insurance")),
        ("社会保险", ("DF03 社会保险1", "DF04 社会保险2（医疗保险）")),
        ("失业", ("DF02 就业与失业", "DF03/EF05 失业保险信息文件")),
        ("reserved", ("DF01/EF16 预留信息文件1", "DF01/EF1A Reserved file 5")),
    ],
)
def test_a_name_that_fits_several_lists_them(said: Said, name: str, candidates: tuple[str, ...]) -> None:
    answer = said(f"select {name}")
    assert said.place == "" and said.shell.failed and f"“{name}”对应多个" in answer
    assert all(candidate in answer for candidate in candidates)


def test_an_unknown_name_lists_what_is_like_it_or_near(said: Said) -> None:
    assert PENSION in said("select Pensoin insurance")
    assert "DF07 人事与人才" in said("select 0000")
    assert "DF03/EF19 参保凭证信息文件" in said("select DF03", "show 0000")
    assert "没有命令“selct”" in said("selct DF03")


def test_applications_and_files_are_listed(said: Said) -> None:
    assert "社会救助与优待抚恤" in said("ls")
    listed = said("select DF03", "ls")
    assert "参保凭证信息文件" in listed and "定长" in listed and "PIN or RK1DF03" in listed
    assert said("select EF07", "ls").endswith(listed.partition("\n")[2])


def test_a_file_is_shown_without_going_there(said: Said) -> None:
    assert PENSION in said("show 养老保险") and said.place == ""
    assert "没有选中文件" in said("show")
    assert "没有“DF03”" in said("show DF03")
    assert "由卡片内部维护" in said("show 医疗保险金额")


def test_raw_is_hex_and_nothing_else_and_never_a_fingerprint(said: Said) -> None:
    assert said("raw DF03/EF07").splitlines()[0] == "1  70  313130"
    assert said("raw DF02/EF07").splitlines()[0].startswith("1    3630373031303120150302FFFFFFFF")
    assert said("raw 照片").startswith("FFD8")
    assert said("raw 指纹") == "768 字节，不显示 / 768 bytes, not shown\n"


@pytest.mark.parametrize("name", ["姓名", "name", "NAME", "09"])
def test_an_item_by_its_names_and_tag(said: Said, name: str) -> None:
    assert "测试甲" in said("select SSSE/EF06", f"item {name}")


def test_items_inside_others_and_items_that_are_not_meant(said: Said) -> None:
    answer = said("select 参保凭证", "item 险种类型")
    assert "职工基本医疗保险 medical, employees (310)" in answer and len(answer.splitlines()) > 3
    assert "对应多个" in said("item 日期")
    assert "没有“nothing”" in said("item nothing")
    assert "用法" in said("item")
    assert "没有选中文件" in said("select ..", "item 险种类型")


def test_an_item_of_a_closed_file_says_why() -> None:
    adult = shell_on(SoftwareReader("r", find_persona("adult").card()))
    with adult.shell.session:
        assert "6982" in adult("select 养老", "item 70") and adult.shell.failed


# -- the card -------------------------------------------------------------------------------------


def test_who_and_what_the_card_says(said: Said) -> None:
    assert "DF07/EF07" in said("tree")
    assert "测试甲" in said("read")
    assert "参保凭证" in said("insurance")
    assert "就业" in said("employment")
    assert PENSION in said("dump")
    assert not said.shell.failed


def test_a_reading_between_two_files_does_not_mix_them_up(said: Said) -> None:
    before = said("select 养老保险", "show")
    assert said("read", "show").endswith(before.split("\n", 1)[1])
    assert not said.shell.failed


def test_raw_commands_and_files_do_not_mix_either(said: Said) -> None:
    before = said("show 养老保险")
    answer = said("apdu 00 a4 0000 02 df02")
    assert answer == "→ 00A4000002DF02\n← 610A\n  还有 10 字节可取 / 10 more bytes to fetch\n"
    assert said("show 养老保险") == before
    assert "6A82 \n" not in (refused := said("apdu 00A40000020000")) and "未找到文件" in refused
    assert not said.shell.failed


@pytest.mark.parametrize("text", ["", "zz", "00", "00A4000005DF02"])
def test_a_raw_command_that_is_none(said: Said, text: str) -> None:
    answer = said(f"apdu {text}")
    assert "错误" in answer and said.shell.failed and said.shell.session.layout is None


def test_raw_commands_are_refused_on_a_real_reader() -> None:
    real = shell_on(RealReader())
    with real.shell.session:
        answer = real(VERIFY)
        assert "只能发给模拟卡" in answer and "software cards only" in answer and real.shell.failed
        assert "123456" not in answer
        assert real.shell.session.layout is None  # nothing was sent
        assert PENSION in real("show 养老保险")


def test_a_trace_shows_data_of_software_cards_only(said: Said) -> None:
    assert "00B2" not in said("show 养老保险")
    assert "313130" in (traced := said("trace on", "raw 养老保险")) and "00B2" in traced and "9000 成功" in traced
    assert "00B2" not in said("trace off", "raw 养老保险")
    assert "trace on|off" in said("trace maybe")
    real = shell_on(RealReader())
    with real.shell.session:
        real("trace on", "show 养老保险")
        assert "9000 成功" in real.stderr.getvalue() and "313130" not in real.stderr.getvalue()


def test_a_card_pulled_and_put_back(said: Said, reader: SoftwareReader) -> None:
    before = said("select 养老", "show")
    reader.remove()
    assert CardRemovedError.remedy in said("show")
    assert "读卡器中没有卡" in said("show")
    assert "读卡器中没有卡" in said("connect")
    reader.insert(WHOLE.card())
    after = said("show")
    assert "已重新连接" in after and after.startswith(before.split("\n", 1)[1])
    reader.insert(WHOLE.card())
    assert "已连接 connected" in said("connect") and said.place == "DF03/EF07"


def test_a_card_of_another_generation_has_other_places(said: Said, reader: SoftwareReader) -> None:
    said("select 参保凭证")
    reader.insert(find_persona("first-generation").card())
    said("connect")
    assert said.place == "" and said.shell.session.layout is not None
    assert said.shell.session.layout.generation == 1


@pytest.mark.parametrize("fault", ["mute", "bank-card", "blocked", "garbage", "one-byte", "endless-61"])
def test_a_bad_card_is_said_in_words_and_a_good_one_goes_on(fault: str) -> None:
    reader = SoftwareReader("r", with_fault(WHOLE.card(), fault))
    bad = shell_on(reader)
    with bad.shell.session:
        answer = bad("ls", "show 养老", "read")
        assert answer.count("错误：") == 3 and bad.shell.failed
        reader.insert(WHOLE.card())
        assert PENSION in bad("show 养老")


def test_a_card_that_was_pulled_between_two_lines_is_told_of_and_the_next_line_takes_the_card_that_is_in(
    said: Said, reader: SoftwareReader
) -> None:
    """The shell keeps the card alive, as Windows resets a card that is not asked for five seconds."""
    said("ls")
    held = said.shell.session._held
    assert held is not None
    reader.remove()
    wait_until(lambda: held.ended, "the loss was noticed")
    reader.insert(WHOLE.card())
    assert "卡片被取出" in said("show 养老")
    assert PENSION in said("show 养老")


def test_another_program_can_have_the_card_afterwards(reader: SoftwareReader) -> None:
    held = shell_on(reader)
    with held.shell.session:
        held("ls")
    reader.connect().close()


class _Hanging:
    """A card that is interrupted at its first command, as by Ctrl-C, and does not come back until it is told to."""

    atr = WHOLE.atr

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def reset(self) -> None:
        pass

    def transmit(self, command: bytes) -> bytes:
        self.go_on.wait(0.5)  # by then the main thread waits
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        self.go_on.wait(20)
        return b"\x90\x00"


def test_ctrl_c_gives_up_a_card_that_hangs() -> None:
    card = _Hanging()
    reader = SoftwareReader("r", card)
    hanging = shell_on(reader)
    with hanging.shell.session:
        with pytest.raises(KeyboardInterrupt):
            hanging("ls")
        reader.insert(WHOLE.card())
        assert PENSION in hanging("show 养老")
    card.go_on.set()


def test_a_reader_that_another_program_holds_is_busy(monkeypatch: pytest.MonkeyPatch, said: Said) -> None:
    monkeypatch.setattr("cardio.card.session.OPERATION_SECONDS", 0.1)
    reader = said.shell.session.reader
    held = reader.connect()
    assert "正被其他程序占用" in said("ls")
    held.close()
    # The attempt that was given up gets its turn now, and lets go.
    monkeypatch.setattr("cardio.card.session.OPERATION_SECONDS", 10.0)
    assert "社会保险1" in said("ls")


# -- help -----------------------------------------------------------------------------------------


def test_every_command_has_help_with_an_example(said: Said) -> None:
    listed = said("help")
    for command in COMMANDS:
        assert command.usage in listed and command.help in listed
        assert command.example in said(f"help {command.name}") and command.example.split()[0] == command.name
    assert not said.shell.failed
    assert "没有参数" in said("tree DF03")


# -- a person at a terminal -----------------------------------------------------------------------


@pytest.fixture
def typed() -> Iterator[PipeInput]:
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        yield keys


def test_a_person_types_lines_and_leaves_with_ctrl_d(said: Said, typed: PipeInput) -> None:
    typed.send_text("select 养老保险\rshow\rnothing\r\x04")
    assert said.shell.run_interactive() == 0
    assert PENSION in said.stdout.getvalue() and "没有命令" in said.stderr.getvalue()
    assert "已连接" in said.stderr.getvalue()
    assert shell._message(said.shell.session) == f"cardio r {PENSION}> "
    assert "模拟卡" in shell._toolbar(said.shell.session)


def test_ctrl_c_cancels_the_line_only(said: Said, typed: PipeInput) -> None:
    typed.send_text("select 养老\x03select 失业保险\rexit\r")
    assert said.shell.run_interactive() == 0 and said.place == "DF03/EF05"


def test_a_person_without_a_card_puts_one_in(typed: PipeInput) -> None:
    empty = shell_on(SoftwareReader("r"))
    typed.send_text("ls\r\x04")
    assert empty.shell.run_interactive() == 0
    assert empty.stderr.getvalue().count("读卡器中没有卡") == 2
    assert shell._message(empty.shell.session) == "cardio r> " and "未连接" in shell._toolbar(empty.shell.session)


def test_the_history_is_the_persons_own_and_has_no_raw_commands(said: Said, typed: PipeInput) -> None:
    history_path().parent.mkdir(parents=True)
    history_path().write_text("")
    history_path().chmod(0o644)
    lines = ["select 养老保险", "show", VERIFY, f"  {VERIFY.upper()}", "adpu 0020000003123456", "\x1b[200~ls"]
    typed.send_text("\r".join(lines) + f"\n{VERIFY}\x1b[201~\r\x04")
    said.shell.run_interactive()
    kept = history_path().read_text(encoding="utf-8")
    assert [line[1:] for line in kept.splitlines() if line.startswith("+")] == ["select 养老保险", "show", "ls"]
    assert "123456" not in kept and "测试" not in kept
    assert stat.S_IMODE(history_path().stat().st_mode) == 0o600
    assert said.stdout.getvalue().count("→ 0020") == 3  # they were sent all the same


def test_a_new_history_is_the_persons_own(said: Said, typed: PipeInput) -> None:
    before = os.umask(0)
    try:
        typed.send_text("ls\r\x04")
        said.shell.run_interactive()
    finally:
        os.umask(before)
    assert stat.S_IMODE(history_path().stat().st_mode) == 0o600
    assert stat.S_IMODE(history_path().parent.stat().st_mode) == 0o700


def test_without_a_place_for_the_history_the_shell_runs(
    said: Said, typed: PipeInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nothing")
    typed.send_text("ls\r\x04")
    assert said.shell.run_interactive() == 0 and "不保存历史" in said.stderr.getvalue()


def test_tab_completes_what_is_typed(said: Said, typed: PipeInput) -> None:
    said("ls")
    prompt = shell._prompt_for(said.shell.session)
    keys = iter("\t\r")  # first when completions are offered, then when one is taken

    def press(_: object) -> None:
        taken = prompt.default_buffer.text.endswith("信息文件")
        if taken or prompt.default_buffer.complete_state is not None:
            typed.send_text(next(keys, ""))

    prompt.default_buffer.on_completions_changed += press
    prompt.default_buffer.on_text_changed += press
    typed.send_text("select 养老")
    assert prompt.prompt("> ") == "select 养老保险信息文件"


def offered(said: Said, text: str) -> list[str]:
    completer = shell._completer(said.shell.session)
    document = Document(text)
    return [one.text for one in completer.get_completions(document, CompleteEvent()) if -one.start_position >= 0]


def test_completion_knows_commands_ids_and_titles(said: Said) -> None:
    assert offered(said, "s") == ["select", "show", "ls", "insurance"]
    assert offered(said, "select 养老") == []  # no card was seen yet
    said("ls")
    assert offered(said, "select 养老") == ["养老保险信息文件"]
    assert offered(said, "show pension i") == ["Pension insurance"]
    assert offered(said, "raw df03/ef0") == ["DF03/EF05", "DF03/EF06", "DF03/EF07"]
    assert offered(said, "select ef07") == ["SSSE/EF07", *(f"DF0{n}/EF07" for n in (1, 2, 3, 7))]
    assert {"..", "/", "DF03", "社会保险1", "Social insurance 1"} <= set(offered(said, "select "))
    assert "DF03" not in offered(said, "show ")
    said("select DF03")
    assert offered(said, "select ef07")[:2] == ["EF07", "DF03/EF07"]
    assert offered(said, "item 养老") == []
    said("select EF07")
    assert offered(said, "item 险种") == ["养老保险险种类型"]
    assert "pension_type" in offered(said, "item ") and "70" in offered(said, "item 7")
    assert offered(said, "help tr") == ["tree", "trace"] and offered(said, "trace o") == ["on", "off"]
    assert offered(said, "nothing ") == [] and offered(said, "tree ") == []


def test_without_prompt_toolkit_a_person_is_told_what_to_install(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prompt_toolkit", None)
    with pytest.raises(ConfigurationError) as caught:
        said.shell.run_interactive()
    assert "pip install prompt_toolkit" in caught.value.detail and "prompt_toolkit" in caught.value.detail_en


def test_at_a_real_terminal(tmp_path: Path) -> None:
    """Prompt and answers in a pseudo-terminal, in a process of its own."""
    code = (
        "import sys; from argparse import ArgumentParser; from cardio.cli.output import Output;"
        "from cardio.cli.shell.command import SHELL; parser = ArgumentParser(); SHELL.add_arguments(parser);"
        "sys.exit(SHELL.run(parser.parse_args(['--reader', 'sim:whole']), Output.guarded(as_json=False)))"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "dumb"},
        start_new_session=True,
    ) as process:
        os.close(theirs)
        os.write(ours, "select 养老保险\rshow\rquit\r".encode())
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # the terminal is closed when its last program has gone
            pass
        assert process.wait(60) == 0
    os.close(ours)
    text = shown.decode(errors="replace")
    assert "cardio sim:whole" in text and "城镇企业职工基本养老保险" in text and "Traceback" not in text


def test_importing_the_command_imports_nothing_heavy() -> None:
    heavy = "{'pydantic', 'prompt_toolkit', 'construct'}"
    code = f"import sys, cardio.cli.shell.command; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
