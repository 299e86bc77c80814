"""The functions of the national driver interface, with its own strings and return codes.

Example:
    >>> from cardio.driver import explain, find_function
    >>> find_function("iReadCard").arguments
    ('iType', 'iAuthType', 'pCardInfo', 'pFileAddr')
    >>> explain(-22).title
    '传入数据与卡内不符'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardio.public.lazy_imports import import_lazily

if TYPE_CHECKING:
    from cardio.driver.functions import FUNCTIONS as FUNCTIONS
    from cardio.driver.functions import DriverArguments as DriverArguments
    from cardio.driver.functions import DriverFunction as DriverFunction
    from cardio.driver.functions import find_function as find_function
    from cardio.driver.hsm_steps import HsmSteps as HsmSteps
    from cardio.driver.nhsa import Nhsa1101 as Nhsa1101
    from cardio.driver.nhsa import nhsa_1101 as nhsa_1101
    from cardio.driver.return_codes import DriverCode as DriverCode
    from cardio.driver.return_codes import driver_codes as driver_codes
    from cardio.driver.return_codes import explain as explain

_HOMES = {
    "DriverArguments": "functions",
    "DriverCode": "return_codes",
    "DriverFunction": "functions",
    "FUNCTIONS": "functions",
    "HsmSteps": "hsm_steps",
    "Nhsa1101": "nhsa",
    "driver_codes": "return_codes",
    "explain": "return_codes",
    "find_function": "functions",
    "nhsa_1101": "nhsa",
}
__all__ = sorted(_HOMES)
__getattr__ = import_lazily(__name__, _HOMES)
