"""Lists the Python packages that the Debian package brings along, and what is known of their advisories.

bundled.py OPENVEX_FILE
"""

import json
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path


def licence(of: Distribution) -> str:
    """What its metadata say; older packages say it in a classifier, or put the whole text there."""
    meta = of.metadata
    short = str((meta.get_all("License-Expression") or meta.get_all("License") or [""])[0]).strip()
    if short and "\n" not in short:
        return short
    classifiers = [line for line in meta.get_all("Classifier", []) if line.startswith("License ::")]
    return classifiers[0].rsplit(" :: ", 1)[1] if classifiers else "see its dist-info"


for found in sorted(distributions(), key=lambda distribution: distribution.metadata["Name"].lower()):
    print(f"{found.metadata['Name']} {found.version} ({licence(found)})")

for statement in json.loads(Path(sys.argv[1]).read_text())["statements"]:
    for part in (part for product in statement["products"] for part in product["subcomponents"]):
        package = part["@id"].removeprefix("pkg:pypi/")
        print(f"{statement['vulnerability']['name']} {package} {statement['status']} ({statement['justification']})")
