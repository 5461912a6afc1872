import re
from pathlib import Path

import pdms.ingest
from pdms.ingest.rules import RULES


def test_every_rule_that_the_code_names_is_registered_and_none_else():
    folder = Path(pdms.ingest.__file__).parent
    text = "\n".join(path.read_text("utf-8") for path in folder.glob("*.py") if path.name != "rules.py")
    named = set(re.findall(r'Broken\("([A-Z_]+)"', text))
    named |= set(re.findall(r'Broken\("[A-Z_]+" if .*? else "([A-Z_]+)"', text))
    named |= set(
        re.findall(r'(?:Rejected\([^)]*?|, |: |\(name, |return |else |if .* )"([A-Z][A-Z]+_[A-Z_]+|SUPPRESSED)"', text)
    )
    assert named & set(RULES) == set(RULES)
