"""The configuration: mistakes and their places, variables over the file, ARIN's settings."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from rwhoisd import config_check
from rwhoisd.config import Config, ConfigError, from_arin, load, options
from rwhoisd.formats.arin_config import ArinSettings, XDirective


def _file(folder: Path, text: str) -> Path:
    path = folder / "rwhoisd.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _findings(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(_file(folder, text))
    return tuple(line.replace(str(folder), "") for line in caught.value.findings)


def test_empty_file_is_all_defaults(tmp_path: Path) -> None:
    config = load(_file(tmp_path, ""))
    assert config.compat == "rfc"
    assert [(row.host, row.port) for row in config.listen] == [("*", 4321)]
    assert config.image_path == config.state / "image"
    assert config.store_url == f"sqlite+aiosqlite:///{config.state}/store.sqlite"


def test_paths_start_from_the_folder_of_the_file(tmp_path: Path) -> None:
    config = load(_file(tmp_path, 'state = "var"\nimage.path = "img"'))
    assert config.state_path == tmp_path / "var"
    assert config.image_path == tmp_path / "img"


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        pytest.param(
            "contct = 'x'",
            "/rwhoisd.toml:1: unknown option 'contct'; did you mean 'contact'?",
            id="unknown option",
        ),
        pytest.param(
            "[limits]\nconections = 4",
            "/rwhoisd.toml:2: unknown option 'limits.conections'; did you mean 'connections'?",
            id="unknown option in a table",
        ),
        pytest.param(
            "\n[limts]\nconnections = 4",
            "/rwhoisd.toml:2: unknown option 'limts'; did you mean 'limits'?",
            id="unknown table",
        ),
        pytest.param(
            "[[listen]]\nport = 1\n\n[[listen]]\n\nport = 70000",
            "/rwhoisd.toml:6: listen[1].port: Input should be less than or equal to 65535,"
            " not 70000",
            id="second row of a list",
        ),
        pytest.param(
            "[directives]\nxfr = false",
            "/rwhoisd.toml:1: directives: unknown directive 'xfr'; did you mean 'xfer'?",
            id="unknown directive",
        ),
        pytest.param(
            "[directives.xfer]\nallow = ['192.0.2.1/24']",
            "/rwhoisd.toml:2: directives.xfer.allow[0]: '192.0.2.1/24' has bits set behind the"
            " prefix; write '192.0.2.0/24'",
            id="prefix with host bits",
        ),
        pytest.param(
            "limits.idle_seconds = 60",
            "/rwhoisd.toml:1: limits: idle_seconds 60 has to be above 0 and below 60 in rfc mode,"
            " because whois clients give up after 60 seconds",
            id="idle limit longer than clients wait",
        ),
        pytest.param(
            "compat = 'ripe'",
            "/rwhoisd.toml:1: compat: Input should be 'arin' or 'rfc', not 'ripe'",
            id="mode",
        ),
        pytest.param(
            "zones = 'x'", "/rwhoisd.toml:1: zones: a list is needed, not 'x'", id="no list"
        ),
        pytest.param(
            "limits = 5", "/rwhoisd.toml:1: limits: a table is needed, not 5", id="no table"
        ),
        pytest.param(
            "listen = [{allow = ['x']}]",
            "/rwhoisd.toml:1: listen[0].allow[0]: 'x' is no address, prefix or 'all'",
            id="the only row of a list",
        ),
        pytest.param(
            "[transfer.'a b']\nallow = ['::1']",
            "/rwhoisd.toml:1: transfer: 'a b' is no authority area",
            id="no area",
        ),
        pytest.param(
            "[[programs.run]]\nname = 'date'",
            "/rwhoisd.toml:1: programs.run[0].command: Field required",
            id="missing option",
        ),
    ],
)
def test_mistake_is_told_with_its_place(tmp_path: Path, text: str, finding: str) -> None:
    assert _findings(tmp_path, text) == (finding,)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = "contct = 'x'\nworkers = -1\n[limits]\nline_octets = 3\n[listne]\n"
    assert len(_findings(tmp_path, text)) == 4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"a = ", "is no TOML", id="syntax"),
        pytest.param(b"a = '\xff'", "is no TOML", id="charset"),
        pytest.param(None, "cannot be read", id="missing"),
    ],
)
def test_file_that_is_none(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "rwhoisd.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        load(path)


def test_variable_goes_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RWHOISD_LIMITS__CONNECTIONS", "7")
    monkeypatch.setenv("RWHOISD_LISTEN", '[{"port": 43}]')
    monkeypatch.setenv("RWHOISD_DIRECTIVES__XFER", "false")
    config = load(_file(tmp_path, "[limits]\nconnections = 3\nobjects = 4"))
    assert (config.limits.connections, config.limits.objects) == (7, 4)
    assert config.listen[0].port == 43
    assert not config.directives["xfer"].enabled


@pytest.mark.parametrize(
    ("name", "value", "finding"),
    [
        pytest.param(
            "RWHOISD_LIMITS__CONNECTIONS",
            "many",
            "RWHOISD_LIMITS__CONNECTIONS: limits.connections: Input should be a valid integer",
            id="wrong value",
        ),
        pytest.param(
            "RWHOISD_LIMITS__CONECTIONS",
            "1",
            "RWHOISD_LIMITS__CONECTIONS: unknown option 'limits.conections'; did you mean",
            id="unknown option",
        ),
        pytest.param(
            "RWHOISD_LIMIT",
            "1",
            "RWHOISD_LIMIT: unknown variable; did you mean RWHOISD_LIMITS?",
            id="unknown variable",
        ),
        pytest.param("RWHOISD_LISTEN", "[", "environment: ", id="no JSON"),
    ],
)
def test_mistake_in_a_variable_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, finding: str
) -> None:
    monkeypatch.setenv(name, value)
    (found,) = _findings(tmp_path, "")
    assert found.startswith(finding)


def test_configuration_is_frozen(tmp_path: Path) -> None:
    config = load(_file(tmp_path, ""))
    with pytest.raises(FrozenInstanceError):
        config.limits.connections = 1  # type: ignore[misc]


def test_every_option_says_what_it_is_and_when_it_takes_effect() -> None:
    found = list(options())
    assert len(found) > 60
    for name, _, description in found:
        assert description.split("Takes effect: ")[1] in ("reload.", "restart.", "at once."), name


def test_directive_takes_a_switch_or_rules(tmp_path: Path) -> None:
    config = load(_file(tmp_path, "[directives]\nSOA = false\nxfer = {allow = ['192.0.2.0/24']}"))
    assert not config.directives["soa"].enabled
    assert config.directives["xfer"].enabled
    assert config.directives["xfer"].rules.allows((4, 0xC0000201))
    assert not config.directives["xfer"].rules.allows((4, 1))


def _arin(folder: Path, **changes: object) -> Config:
    overrides = changes.pop("overrides", {})
    assert isinstance(overrides, dict)
    settings = ArinSettings(root_dir=folder, **changes)  # type: ignore[arg-type]
    return from_arin(settings, folder / "rwhoisd.conf", overrides)


def test_arin_settings_become_the_same_object(tmp_path: Path) -> None:
    config = _arin(
        tmp_path,
        local_port=4343,
        local_host="rwhois.example.net",
        max_children=12,
        deadman_time=30,
        max_hits_ceiling=0,
        query_allow_substr=True,
        skip_referral_search=True,
        punts=("rwhois://root.example:4321/auth-area=.",),
        directives={"soa": False, "xfer": True},
        x_directives=(XDirective("date", "/bin/date -u 'a b'", "the time", 2),),
    )
    assert config.compat == "arin"
    assert config.arin_config == tmp_path / "rwhoisd.conf"
    assert (config.listen[0].host, config.listen[0].port) == ("*", 4343)
    assert config.host == "rwhois.example.net"
    assert config.limits.connections == 12
    assert (config.limits.idle_seconds, config.limits.held_idle_seconds) == (30, 30)
    assert config.limits.objects == 20  # whatever max-hits-default says (§11.2)
    assert config.limits.max_objects == 0
    assert config.query.leading_wildcard
    assert config.referral.skip
    assert config.referral.punt == ("rwhois://root.example:4321/auth-area=.",)
    assert [n for n, row in config.directives.items() if not row.enabled] == ["soa"]
    (program,) = config.programs.run
    assert program.command == ("/bin/date", "-u", "a b")
    assert program.match_octets == 2
    assert config.path(config.programs.search[0]) == tmp_path / "bin"


def test_arin_installation_in_rfc_mode_keeps_the_idle_limit_of_clients(tmp_path: Path) -> None:
    config = _arin(tmp_path, deadman_time=200, overrides={"compat": "rfc"})
    assert config.limits.idle_seconds == 50
    assert config.limits.held_idle_seconds == 200


@pytest.mark.parametrize(
    ("verbosity", "level", "queries"),
    [(-1, "error", "off"), (3, "error", "stderr"), (6, "info", "stderr"), (9, "debug", "stderr")],
)
def test_arin_verbosity(tmp_path: Path, verbosity: int, level: str, queries: str) -> None:
    config = _arin(tmp_path, verbosity=verbosity)
    assert (config.log.level, config.log.queries) == (level, queries)


def test_unknown_user_of_an_arin_installation_is_passed_over(tmp_path: Path) -> None:
    assert _arin(tmp_path, userid="no-such-user-here").user == ""


def test_overrides_go_over_the_file(tmp_path: Path) -> None:
    path = _file(tmp_path, "workers = 3\ncontact = 'x@example.net'")
    config = load(path, {"workers": 1})
    assert (config.workers, config.contact) == (1, "x@example.net")


def test_line_of_a_quoted_key() -> None:
    text = '[transfer."example.net"]\nallow = []\n[transfer."192.0.2.0/24"]\ndeny = ["x"]\n'
    location = ("transfer", "192.0.2.0/24", "deny", 0)
    assert config_check._line_of(text, location) == 4


@pytest.mark.parametrize(
    ("text", "everywhere"),
    [
        pytest.param("", False, id="rfc"),
        pytest.param('compat = "arin"', True, id="arin"),
        pytest.param('clear_passwords = "everywhere"', True, id="rfc, as the operator says"),
        pytest.param(
            'compat = "arin"\nclear_passwords = "tls-only"', False, id="arin, as the operator says"
        ),
    ],
)
def test_where_secrets_are_accepted(tmp_path: Path, text: str, everywhere: bool) -> None:
    path = tmp_path / "rwhoisd.toml"
    path.write_text(text)
    assert load(path).accepts_clear_passwords is everywhere


def test_mistakes_in_tls_are_told_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "rwhoisd.toml"
    path.write_text('[[listen]]\ntls = { certificate = "c.pem", kye = "k.pem" }\n')
    with pytest.raises(ConfigError) as caught:
        load(path)
    text = str(caught.value)
    assert "listen[0].tls.key: Field required" in text
    assert "unknown option 'listen[0].tls.kye'; did you mean 'key'?" in text
