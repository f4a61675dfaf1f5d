"""One cache for the whole test session, apart from the user's own.

Set RSA_TEST_CACHE to a folder to keep wheels and label tables between sessions.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

_kept = os.environ.get("RSA_TEST_CACHE")
os.environ["RSA_CACHE"] = _kept or tempfile.mkdtemp(prefix="rsa-test-cache-")


def pytest_unconfigure(config):
    if not _kept:
        shutil.rmtree(os.environ["RSA_CACHE"], ignore_errors=True)
