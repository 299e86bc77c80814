"""The check that a card is good and that its bearer is its holder: checks over what was read and proved, and one
verdict.

Example:
    >>> from cardio.identity import ChipProof, default_policy
    >>> default_policy().name
    'default'
    >>> ChipProof("genuine", algorithm="3DES", sam="psam").sam
    'psam'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardio.public.lazy_imports import import_lazily

if TYPE_CHECKING:
    from cardio.identity.loss_list import LossList as LossList
    from cardio.identity.model import CheckName as CheckName
    from cardio.identity.model import CheckResult as CheckResult
    from cardio.identity.model import Decision as Decision
    from cardio.identity.model import Outcome as Outcome
    from cardio.identity.model import Verdict as Verdict
    from cardio.identity.model import Weight as Weight
    from cardio.identity.policy import Policy as Policy
    from cardio.identity.policy import default_policy as default_policy
    from cardio.identity.proofs import ChipProof as ChipProof
    from cardio.identity.proofs import CodeProof as CodeProof
    from cardio.identity.proofs import HolderProof as HolderProof
    from cardio.identity.verdict import CHECKS as CHECKS
    from cardio.identity.verdict import verify as verify

_HOMES = {
    "CHECKS": "verdict",
    "CheckName": "model",
    "CheckResult": "model",
    "ChipProof": "proofs",
    "CodeProof": "proofs",
    "Decision": "model",
    "HolderProof": "proofs",
    "LossList": "loss_list",
    "Outcome": "model",
    "Policy": "policy",
    "Verdict": "model",
    "Weight": "model",
    "default_policy": "policy",
    "verify": "verdict",
}
__all__ = sorted(_HOMES)
__getattr__ = import_lazily(__name__, _HOMES)
