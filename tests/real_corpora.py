"""Where the real corpora are, and the mark of a test that needs them."""

from __future__ import annotations

import os

import pytest

ROOT = os.environ.get("KERAS_LMF_DATA")
needs_data = pytest.mark.skipif(not ROOT, reason="KERAS_LMF_DATA is not set: the corpora may not be shipped")
