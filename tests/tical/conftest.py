from __future__ import annotations

import pytest

pytest.importorskip("geoopt", reason="needs the extra emotion")
