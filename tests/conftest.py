"""Two ways to run the unit tests: with types checked (default) and, for our own errors, without.

``pytest tests`` puts jaxtyping and beartype under every function of the companion. Beartype would
then answer wrong arguments before our own checks do, so tests marked ``nocheck`` are left for a
second process: ``pytest tests --without-types``.
"""

import os

import pytest

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("EXPLORE_MODE", "test")


def pytest_addoption(parser):
    parser.addoption("--without-types", action="store_true", help="run only the `nocheck` tests")


def pytest_configure(config):
    if not config.getoption("--without-types"):
        from jaxtyping import install_import_hook

        import tests.typecheck  # noqa: F401 (the hook looks it up, but does not import it)

        install_import_hook("companion", "tests.typecheck.typecheck")
    import torch

    torch.set_num_threads(1)  # sums differ between one thread and two


def pytest_collection_modifyitems(config, items):
    wanted = config.getoption("--without-types")
    kept = [item for item in items if bool(item.get_closest_marker("nocheck")) == wanted]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random state."""
    import torch

    torch.manual_seed(0)
