"""The ``rwhois`` command: asks a server, follows its referrals, shows what came of it."""
