import pytest

from poseras.synthetic import assets as body_assets


@pytest.fixture(scope="session")
def assets():
    """The body; tests that need it are skipped where its package is not installed."""
    try:
        body_assets.find_asset_folder()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return body_assets.load_assets()
