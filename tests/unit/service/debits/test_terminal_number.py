"""终端机编号 in the answers of the driver interface: the PSAM card's, zeros where none is set up, never a guess."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from cardio.readers.base import Reader
from cardio.security.errors import NoSamError
from cardio.security.settings import SecuritySettings
from service.security import SecurityContext
from simulators.readers.software_reader import SoftwareReader
from simulators.sam.hsm_driver_steps import read_step_1_to_2
from simulators.sam.psam import SoftwarePsam
from tests.unit.service.bridge import FIRST, Bridge

NUMBER, SET_FOR_HSM = "000000009999", "430100000017"


def nobody(name: str) -> Reader:
    raise NoSamError()


def psam(name: str) -> Reader:
    return SoftwareReader(name, SoftwarePsam(algorithms=("3DES", "SM4")))


@contextmanager
def bridge(find_reader: Callable[[str], Reader] | None, *personas: str, **settings: object) -> Iterator[Bridge]:
    found = SecuritySettings.model_validate(settings)
    source = None if find_reader is None else found.sam_source("psam:Slot 2", find_reader)
    made = Bridge(*personas, security=SecurityContext(sam=source, settings=found))
    try:
        yield made
    finally:
        made.stop()


def call(made: Bridge, function: str, **arguments: object) -> httpx.Response:
    return made.client.post(f"/v1/driver/{function}", json={"reader": FIRST, **arguments})


def in_steps(made: Bridge) -> str:
    step = call(made, "iReadCardBas_HSM_Step1").json()["pOutInfo"]
    answer = call(made, "iReadCardBas_HSM_Step2", pKey=read_step_1_to_2(step)).json()
    assert answer["return"] == 0
    return str(answer["pOutInfo"].split("|")[9])


def test_the_psams_own_number() -> None:
    with bridge(psam, "third-closed") as made:
        assert call(made, "iReadCardBas").json()["pOutInfo"].split("|")[9] == NUMBER
        assert in_steps(made) == NUMBER


def test_zeros_where_no_psam_is_set_up() -> None:
    with bridge(None, "third-closed") as made:
        assert in_steps(made) == "000000000000"
    with bridge(None, "personalised") as made:
        assert call(made, "iReadCardBas").json()["pOutInfo"].split("|")[9] == "000000000000"


@pytest.mark.parametrize("persona", ["personalised", "third-closed"])
def test_a_psam_that_is_not_there_sends_the_caller_to_its_hsm_where_the_field_is_empty(persona: str) -> None:
    with bridge(nobody, persona) as made:
        refused = call(made, "iReadCardBas")
        assert refused.status_code == 503 and refused.json()["driver_code"] == -2201
        assert in_steps(made) == ""


def test_the_number_that_is_set_for_the_hsm() -> None:
    with bridge(nobody, "third-closed", hsm={"terminal_number": SET_FOR_HSM}) as made:
        assert in_steps(made) == SET_FOR_HSM
