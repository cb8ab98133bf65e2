"""From the configuration to what each part of the server asks for: pure mappings, one a part."""

import shlex
import socket

from rwhoisd.config import Config, ProgramConfig
from rwhoisd.directory.access import AccessRules
from rwhoisd.directory.dialect import DIALECTS
from rwhoisd.protocol.directives import NAMES, Directive, x_directive
from rwhoisd.protocol.session import SessionLimits
from rwhoisd.query.parser import Allowed
from rwhoisd.server.access import Access, AccessFiles
from rwhoisd.server.hub import Timing
from rwhoisd.server.limits import LimitSettings
from rwhoisd.server.querylog import OFF, STDERR, LogSettings
from rwhoisd.service.settings import ForwardLimits, ServiceSettings


def access(config: Config) -> Access:
    """Who may do what. Raises: OSError, when an access file cannot be read."""
    named = config.access_files
    files = None
    if named.allow or named.deny:
        files = AccessFiles(*(path and config.path(path) for path in (named.allow, named.deny)))
    return Access(
        {name: row.rules for name, row in config.directives.items()},
        {name: row.rules for name, row in config.transfer.items()},
        files,
    )


def service(config: Config, access: Access, host: str) -> ServiceSettings:
    """What the handlers ask for; ``host`` is the system's name, see ``system_name``."""
    limits = config.limits
    off = {name for name, row in config.directives.items() if not row.enabled}
    return ServiceSettings(
        dialect=DIALECTS[config.compat],
        host=config.host or host,
        contact=config.contact,
        limits=SessionLimits(
            limits.line_octets,
            limits.spool_octets,
            limits.spool_lines,
            limits.spool_seconds,
            limits.objects,
        ),
        max_objects=limits.max_objects,
        allowed=Allowed(
            config.query.wildcard,
            config.query.leading_wildcard,
            config.query.terms,
            config.query.scan,
        ),
        punts=config.referral.punt,
        skip_referrals=config.referral.skip,
        directives=frozenset(NAMES) - off,
        external=tuple(_external(row) for row in config.programs.run),
        may_use=access.may_use,
        may_transfer=access.may_transfer,
        clear_passwords=config.accepts_clear_passwords,
        forward=ForwardLimits(
            config.forward.depth,
            config.forward.servers,
            config.forward.seconds,
            config.forward.octets,
        ),
        program_options=config.programs.options,
        cache_octets=limits.cache_octets,
    )


def _external(row: ProgramConfig) -> Directive:
    return x_directive(
        row.name,
        shlex.join(row.command),
        description=row.description,
        command_octets=row.match_octets,
    )


def limits(config: Config) -> LimitSettings:
    """The limits over all workers."""
    limits = config.limits
    return LimitSettings(
        connections=limits.connections,
        connections_per_net=limits.connections_per_net,
        queries_per_net=limits.queries_per_net,
        query_interval_seconds=limits.query_interval_seconds,
        failures_per_net=limits.failures_per_net,
        failure_interval_seconds=limits.failure_interval_seconds,
        net_v4_bits=limits.net_v4_bits,
        net_v6_bits=limits.net_v6_bits,
        exempt=AccessRules.from_texts(limits.exempt),
    )


def timing(config: Config) -> Timing:
    """How long a connection may take over what."""
    limits = config.limits
    return Timing(
        limits.idle_seconds,
        limits.held_idle_seconds,
        limits.write_seconds,
        limits.close_seconds,
        limits.batch_lines,
        limits.write_octets,
        limits.unsent_octets,
    )


def query_log(config: Config) -> LogSettings:
    """Where the query log goes, a file's path made absolute."""
    log = config.log
    target = log.queries
    if target not in (OFF, STDERR):
        target = str(config.folder.absolute() / target)
    return LogSettings(target, log.format, log.address_v4_bits, log.address_v6_bits)


def system_name() -> str:
    """The system's full name, for the banner. May ask the resolver: only to be used at start."""
    name = socket.gethostname()
    return name if "." in name else socket.getfqdn()
