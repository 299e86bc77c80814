"""What each room of the library says is public: held here, so that no name comes or goes unseen."""

from __future__ import annotations

import ast
import doctest
from importlib import import_module
from pathlib import Path

import pytest

from scripts.python_interface import ROOMS

CARDIO = Path(__file__).parents[2] / "cardio"
PUBLIC = {
    "cardio": "Address CardReading CardioError PcscSource SocialSecurityCard on_card read_card",
    "cardio.apdu": "Channel CommandApdu Exchange Flow ResponseApdu StatusWord TransmissionProtocol Transport describe",
    "cardio.card": "CardSession SocialSecurityCard on_card read_card",
    "cardio.debits": "Amounts DebitEntry DebitJournal DebitLimits DebitOrder DebitRecord DebitResult DebitState "
    "JournalledDebit debit debit_or_recover recover requires_card resolve_open_debit",
    "cardio.driver": "DriverArguments DriverCode DriverFunction FUNCTIONS HsmSteps Nhsa1101 driver_codes explain "
    "find_function nhsa_1101",
    "cardio.filesystem": "Address CapabilityCache CardFileSystem File Item Layout LayoutChoice",
    "cardio.identity": "CHECKS CheckName CheckResult ChipProof CodeProof Decision HolderProof LossList Outcome Policy "
    "Verdict Weight default_policy verify",
    "cardio.models": "CardReading CardTree FileContent FrozenModel Problem Proof ReaderEvent ReaderInfo ReaderStatus "
    "Report",
    "cardio.pki": "Certificate load_pki_layout open_envelope pki_layout read_contents seal select_pki sign verify_pin",
    "cardio.readers": "Connection PcscSource Preference Reader ReaderPolicy ReaderSource choose_reader",
    "cardio.security": "Credentials Pin Sam SamSource SecuritySettings",
}
PACKAGES = [f"cardio.{room}" if room else "cardio" for room in ROOMS]


def test_every_room_with_public_names_is_listed() -> None:
    lazy = {path.parent for path in CARDIO.rglob("__init__.py") if "import_lazily(" in path.read_text("utf-8")}
    assert {".".join(("cardio", *path.relative_to(CARDIO).parts)) for path in lazy} == PUBLIC.keys() == set(PACKAGES)


@pytest.mark.parametrize("name", PACKAGES)
def test_the_public_names_are_these(name: str) -> None:
    package = import_module(name)
    assert sorted(package.__all__) == sorted(PUBLIC[name].split())
    for one in package.__all__:
        assert getattr(package, one) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        package.nothing  # noqa: B018 - it is looked up


@pytest.mark.parametrize("name", PACKAGES)
def test_type_checkers_see_the_same_names(name: str) -> None:
    """They read the imports that never run; the names come from where these say."""
    source = Path(import_module(name).__file__ or "").read_text("utf-8")
    guarded = next(one for one in ast.parse(source).body if isinstance(one, ast.If))
    homes = {
        alias.name: (one.module or "").removeprefix(f"{name}.")
        for one in guarded.body
        if isinstance(one, ast.ImportFrom)
        for alias in one.names
    }
    assert homes == import_module(name)._HOMES


@pytest.mark.parametrize("name", PACKAGES)
def test_the_example_of_a_room_runs_as_it_is_printed(name: str) -> None:
    outcome = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert outcome.attempted > 0 and outcome.failed == 0


def test_to_import_a_room_imports_none_of_its_modules() -> None:
    """The command would start later for each of them."""
    import subprocess
    import sys

    rooms = ", ".join(PACKAGES)
    script = (
        f"import sys, {rooms}; print([one for one in sys.modules if one.startswith('cardio.') and one.count('.') > 1])"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "['cardio.public.lazy_imports']"
