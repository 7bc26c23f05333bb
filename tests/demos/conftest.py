import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

DEMOS = Path(__file__).parent.parent.parent / "demos"


@pytest.fixture(scope="module")
def load_demo() -> Callable[[str], ModuleType]:
    """Load a demo as Python does that runs it: with its folder on the path."""

    def load(name: str) -> ModuleType:
        specification = importlib.util.spec_from_file_location(name, DEMOS / f"{name}.py")
        assert specification is not None and specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(DEMOS)
            specification.loader.exec_module(module)
        return module

    return load
