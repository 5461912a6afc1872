import re
from pathlib import Path

import pdms.ingest
from pdms.ingest.rules import RULES


def test_every_rule_is_used_and_every_broken_rule_is_registered():
    folder = Path(pdms.ingest.__file__).parent
    text = "\n".join(path.read_text("utf-8") for path in folder.glob("*.py") if path.name != "rules.py")
    assert [rule for rule in RULES if f'"{rule}"' not in text] == []
    assert set(re.findall(r'Broken\("([A-Z_]+)"', text)) <= set(RULES)
