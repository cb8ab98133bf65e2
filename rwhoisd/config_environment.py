"""The configuration where ``RWHOISD_…`` variables are set.

It stands apart because the library takes longer to load than all the rest of the configuration,
and most servers have no such variable.
"""

from collections.abc import Mapping
from typing import Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from rwhoisd.config import ENVIRONMENT_PREFIX, NESTED, Config, ConfigError


class _Settings(BaseSettings, Config):
    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter=NESTED,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables before the file, nothing else."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


def made(data: Mapping[str, Any]) -> Config:
    """The configuration in ``data`` with the variables over it.

    Raises: ConfigError, for a variable that is not written as it has to be; ValidationError.
    """
    try:
        settings = _Settings(**data)
    except SettingsError as error:
        text = f"environment: {error}; lists and tables are written as JSON"
        raise ConfigError([text]) from None
    values = {name: getattr(settings, name) for name in Config.model_fields}
    return Config.model_construct(_fields_set=settings.model_fields_set, **values)
