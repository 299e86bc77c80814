"""Is the card good, and is this its holder? Checks over what was read and proved, and one verdict."""

from cardio.identity.loss_list import LossList
from cardio.identity.model import CheckName, CheckResult, Decision, Outcome, Verdict, Weight
from cardio.identity.policy import Policy, default_policy
from cardio.identity.proofs import ChipProof, CodeProof, HolderProof
from cardio.identity.verdict import CHECKS, verify

__all__ = [
    "CHECKS",
    "CheckName",
    "CheckResult",
    "ChipProof",
    "CodeProof",
    "Decision",
    "HolderProof",
    "LossList",
    "Outcome",
    "Policy",
    "Verdict",
    "Weight",
    "default_policy",
    "verify",
]
