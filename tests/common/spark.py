"""Spark for tests: a session held open, tuned for tiny data, or a clear word why there is none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from pdms.settings import Engine, Home, Reading, java

QUICK = """spark.driver.defaultJavaOptions -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
spark.sql.adaptive.enabled false
spark.sql.codegen.wholeStage false
"""
"""Small rows, many plans: what a start and a plan cost is all that counts. Read as an operator's own defaults would."""


def needed() -> None:
    """Skip where Spark cannot run, but for CI, where it must."""
    lacking = [n for n, there in (("pyspark (extra spark)", find_spec("pyspark")), ("Java 17", java())) if not there]
    if lacking:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{' and '.join(lacking)} not installed, and CI=true: these tests may not be left out")
        pytest.skip(f"{' and '.join(lacking)} not installed")


@contextmanager
def spark_home(folder: Path) -> Iterator[Home]:
    """Give a home whose engine is Spark, and keep its session until the block ends."""
    needed()
    from pdms.facts import spark

    defaults = folder / "conf"
    defaults.mkdir()
    (defaults / "spark-defaults.conf").write_text(QUICK)
    home = Home(folder / "a home [a-z] {b*} 家", reading=Reading(engine=Engine.SPARK))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_CONF_DIR", str(defaults))
        with spark.session_of(home, home.reading):
            yield home
