# shellcheck shell=bash
# systemd finds no fault with the installed units, and the daemon's sandbox scores below 2.0.
# shellcheck source=scripts/system-tests/common
source ./common

said=$(systemd-analyze verify --man=no totpd.socket totpd-user.socket totpd.service totp-agent.service 2>&1) ||
    fail "systemd-analyze verify: $said"
[ -z "$said" ] || fail "systemd-analyze verify: $said"

exposure=$(systemd-analyze security --no-pager totpd.service | sed -n 's/.*Overall exposure level.*: \([0-9.]*\) .*/\1/p')
python3 -c 'import sys; sys.exit(not float(sys.argv[1]) < 2)' "$exposure" || fail "systemd-analyze security: $exposure"
