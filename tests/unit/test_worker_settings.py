"""A worker refuses settings that do not go together before it connects to anything."""

import pytest

from app.core.errors import ConfigurationException
from app.settings import Settings
from app.workers.process import run_worker


@pytest.mark.parametrize("secret_key", ["", " , "])
async def test_a_public_url_without_a_key_to_make_tokens_from_is_refused(secret_key: str) -> None:
    settings = Settings(
        workflow_engine_url="http://127.0.0.1:1", public_url="http://127.0.0.1:2", secret_key=secret_key
    )
    with pytest.raises(ConfigurationException, match="PUBLIC_URL is set and SECRET_KEY holds no key"):
        await run_worker(settings)
