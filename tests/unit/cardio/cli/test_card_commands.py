"""The commands that explore a card, as people and programs run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.warm_cardio import warm_command

CARDIO = Path(sys.executable).with_name("cardio")


def run(*arguments: str, folder: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [warm_command(), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | more,
        check=False,
        cwd=folder,
    )


def test_the_tree_for_people_and_for_programs() -> None:
    done = run("files", "--reader", "sim:personalised")
    assert done.returncode == 0
    row = next(line for line in done.stdout.splitlines() if "DF03/EF07" in line)
    assert "养老保险信息文件" in row and "PIN or RK1DF03" in row and "needs-pin-or-key" in row
    document = json.loads(run("files", "--reader", "sim:personalised", "--json").stdout)
    assert [application["id"] for application in document["applications"]][:3] == ["SSSE", "DF01", "DF02"]


def test_one_file_decoded_beside_raw() -> None:
    done = run("show", "df03/ef07", "--reader", "sim:whole")
    assert done.returncode == 0
    row = next(line for line in done.stdout.splitlines() if "养老保险险种类型" in line)
    assert re.search(
        r"1\s+70\s+养老保险险种类型 type of pension insurance\s+城镇企业职工基本养老保险.*\(110\)\s+313130", row
    )
    document = json.loads(run("show", "DF04/EF08", "--reader", "sim:whole", "--json").stdout)
    assert document["records"][0]["items"][3] == {
        "tag": None,
        "name": "transaction_time",
        "label": "交易时间",
        "label_en": "time",
        "value": "2026-10-08T09:31:05",
        "raw": "20261008093105",
    }


def test_money_is_yuan_for_people() -> None:
    assert "45236.10 元" in run("show", "DF03/EF19", "--reader", "sim:whole").stdout


def test_a_closed_file_is_a_no_and_an_unknown_one_a_wrong_question() -> None:
    closed = run("show", "DF03/EF07", "--reader", "sim:personalised", "--json")
    assert closed.returncode == 1
    assert json.loads(closed.stdout)["unread"][0]["reason"] == "needs-pin-or-key"
    unknown = run("show", "DF03/EF55", "--reader", "sim:whole")
    assert unknown.returncode == 2 and "没有文件 DF03/EF55" in unknown.stderr


def test_a_national_address_is_answered_in_its_shape() -> None:
    done = run("show", "SSSEEF05|01|07|$DF03EF19|79:03|$", "--reader", "sim:whole")
    assert done.stdout == (
        "SSSEEF05|370200D15600000500000013FFFFFFFF|A00000011|$DF03EF19|210^370202^20000701^20131231^0^160^20140115|$\n"
    )


def test_everything_in_one_document() -> None:
    document = json.loads(run("dump", "--reader", "sim:whole-third", "--json").stdout)
    assert document["card"]["generation"] == 3
    files = {file["file"]: file for file in document["files"]}
    assert len(files) == 41 and all(file["opened_by"] == "free" for file in files.values())
    assert files["SSSE/EF0D"]["records"][0]["items"][0]["value"] == "370200000001"
    assert run("dump", "--reader", "sim:whole").stdout.count("\n\n") >= 40


@pytest.mark.parametrize(
    ("command", "said"),
    [("insurance", "参保凭证 participation voucher 1（养老保险）"), ("employment", "最近一次办理失业登记日期")],
)
def test_reports(command: str, said: str) -> None:
    done = run(command, "--reader", "sim:whole")
    assert done.returncode == 0 and said in done.stdout
    assert json.loads(run(command, "--reader", "sim:whole", "--json").stdout)["sections"]


def test_the_photo_is_saved_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    done = run("read", "--reader", "sim:whole", "--photo", str(path))
    assert done.returncode == 0 and "姓名" in done.stdout and "179×221" in done.stderr
    assert path.read_bytes()[:3] == b"\xff\xd8\xff" and path.stat().st_mode & 0o777 == 0o600
    refused = run("read", "--reader", "sim:whole", "--photo", str(tmp_path / "no" / "photo.jpg"), "--json")
    assert (refused.returncode, json.loads(refused.stdout)["error"]["code"]) == (1, "cannot-write")
    # A photo that is closed takes nothing of the reading away.
    none = run("read", "--reader", "sim:adult", "--photo", str(tmp_path / "none.jpg"), "--json")
    assert none.returncode == 1 and json.loads(none.stdout)["holder"]["name"] == "测试甲"
    assert "没有照片 no photo" in none.stderr and not (tmp_path / "none.jpg").exists()


def test_conformance_for_people_programs_and_ci_systems(tmp_path: Path) -> None:
    good = run("conformance", "--reader", "sim:personalised")
    assert good.returncode == 0 and "不符 failed 0" in good.stdout
    bad = run("conformance", "--reader", "sim:whole", "--json", "--junit", str(tmp_path / "report.xml"))
    # Files that must be closed and are not: SSSE 2, DF01 7, DF02 6, DF03 8, DF04 4, DF06 2, DF07 3.
    assert bad.returncode == 1 and json.loads(bad.stdout)["failed"] == 32
    assert 'failures="32"' in (tmp_path / "report.xml").read_text("utf-8")


REGION = Path(__file__).parents[4] / "docs" / "regions.md"


@pytest.fixture
def city(tmp_path: Path) -> Path:
    """The example of docs/regions.md, word for word."""
    text = re.search(r"```toml\n(.*?)```", REGION.read_text("utf-8"), re.DOTALL)
    assert text is not None
    path = tmp_path / "my-city.toml"
    path.write_text(text[1], encoding="utf-8")
    return path


def test_the_documents_example_of_a_region_works_as_it_says(city: Path, tmp_path: Path) -> None:
    structure = run("conformance", "--layout", str(city), "--no-card")
    assert structure.returncode == 0 and "不符 failed 0" in structure.stdout
    page = run("layouts", "--page", str(city))
    assert "### DF01/EF0C 市民服务信息文件 / Citizen services" in page.stdout
    made = run("sim", "new", "test.toml", "--like", "whole", "--layout", str(city), folder=tmp_path)
    assert made.returncode == 0
    persona = tmp_path / "test.toml"
    values = re.findall(r"```toml\n(.*?)```", REGION.read_text("utf-8"), re.DOTALL)[1]
    persona.write_text(persona.read_text("utf-8") + "\n" + values, "utf-8")
    folder = tmp_path / "config" / "cardio" / "layouts"
    folder.mkdir(parents=True)
    (folder / "my-city.toml").write_text(city.read_text("utf-8"), "utf-8")
    # By --layout, and by the card's region from the user's folder.
    for more in (("--layout", str(city)), ()):
        options = ("--reader", "sim:test.toml", *more)
        config = str(tmp_path / "config")
        shown = run("show", "市民服务", *options, folder=tmp_path, XDG_CONFIG_HOME=config)
        assert "优先 priority (2)" in shown.stdout and "2030-12-31" in shown.stdout
        report = run("insurance", *options, folder=tmp_path, XDG_CONFIG_HOME=config)
        assert re.search(r"参保补贴 subsidy\s+120\.00 元", report.stdout)
        rides = run("show", "DF0A/EF05", *options, folder=tmp_path, XDG_CONFIG_HOME=config)
        assert "2026-05-01 08:30:00" in rides.stdout and "2.00 元" in rides.stdout
    listed = json.loads(run("layouts", "--json", XDG_CONFIG_HOME=str(tmp_path / "config")).stdout)
    assert ["9901"] in [layout["regions"] for layout in listed["layouts"]] and listed["problems"] == []


def test_a_region_against_the_rules_is_refused_with_its_line(city: Path, tmp_path: Path) -> None:
    city.write_text(city.read_text("utf-8").replace("EF0C]", "EF0B]"), encoding="utf-8")
    refused = run("show", "DF01/EF05", "--reader", "sim:whole", "--layout", str(city))
    assert refused.returncode == 78
    assert re.search(r"my-city\.toml:\d+：DF01/EF0B：.*EF0C 起", refused.stderr)
    report = run("conformance", "--layout", str(city), "--no-card")
    assert report.returncode == 1 and "DF01/EF0B" in report.stdout
    folder = tmp_path / "config" / "cardio" / "layouts"
    folder.mkdir(parents=True)
    (folder / "my-city.toml").write_text(city.read_text("utf-8"), "utf-8")
    assert run("layouts", XDG_CONFIG_HOME=str(tmp_path / "config")).returncode == 78


def test_a_new_persona_says_only_what_differs_and_every_comment_is_usable(tmp_path: Path) -> None:
    for like in ("adult", "whole", "whole-first", "whole-third"):
        done = run("sim", "new", f"{like}-2.toml", "--like", like, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        text = (tmp_path / f"{like}-2.toml").read_text("utf-8")
        assert set(tomllib.loads(text)) == {"extends", "title", "title_en", "files"}
        used = re.sub(r"^# (\[files|[a-z_0-9]+ = )", r"\1", text, flags=re.MULTILINE)
        used = used.replace('"file:photo.jpg"', '"hex:00"').replace('layout = "my-region.toml"\n', "")
        (tmp_path / "used.toml").write_text(used, "utf-8")
        assert len(tomllib.loads(used)["files"]) > 15
        assert run("dump", "--reader", "sim:used.toml", "--json", folder=tmp_path).returncode == 0
    again = run("sim", "new", "adult-2.toml", folder=tmp_path)
    assert again.returncode == 2 and "已存在" in again.stderr
    assert run("sim", "new", "adult", folder=tmp_path).returncode == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('name = "测"\nname2 = "x"', "no such items"),
        ('name = ["a", "b"]', "one plain value"),
        ('sex = ["1", "2"]', "stand in the file"),
        ('sex = { a = "1" }', "one plain value"),
        ('birth_date = "197A"', "digits are wanted"),
        ('social_security_number = "1199001977080900271"', "19 bytes in 18"),
    ],
)
def test_a_persona_that_does_not_fit_is_refused_with_file_and_item(tmp_path: Path, line: str, said: str) -> None:
    text = f'extends = "adult"\ntitle = "t"\ntitle_en = "t"\n[files."SSSE/EF06"]\n{line}\n'
    (tmp_path / "bad.toml").write_text(text, "utf-8")
    refused = run("read", "--reader", "sim:bad.toml", folder=tmp_path)
    assert refused.returncode == 78
    assert "SSSE/EF06" in refused.stderr and said in refused.stderr and "Traceback" not in refused.stderr


@pytest.mark.parametrize("name", ["../secret.bin", "/etc/hostname", "none.bin", "/dev/zero"])
def test_a_persona_takes_files_from_its_own_folder_only(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.bin").write_bytes(b"secret")
    folder = tmp_path / "mine"
    folder.mkdir()
    text = f'extends = "whole"\ntitle = "t"\ntitle_en = "t"\n[files."DF01/EF16"]\ncontent = "file:{name}"\n'
    (folder / "bad.toml").write_text(text, "utf-8")
    refused = run("show", "DF01/EF16", "--reader", "sim:bad.toml", folder=folder)
    assert refused.returncode == 78 and "旁边没有文件" in refused.stderr


@pytest.mark.parametrize(
    "line",
    ['omit = ["SSSE/EF06/nmae"]', 'omit = ["DF99"]', '[manners]\nclosed_files = ["ssse/ef06"]'],
)
def test_a_place_that_is_none_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "bad.toml").write_text(f'extends = "adult"\ntitle = "t"\ntitle_en = "t"\n{line}\n', "utf-8")
    refused = run("read", "--reader", "sim:bad.toml", folder=tmp_path)
    assert refused.returncode == 78 and "没有" in refused.stderr


def test_a_persona_that_extends_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('extends = "b"\n', "utf-8")
    (tmp_path / "b.toml").write_text('extends = "a"\n', "utf-8")
    refused = run("read", "--reader", "sim:a.toml", folder=tmp_path)
    assert refused.returncode == 78 and "extends" in refused.stderr
