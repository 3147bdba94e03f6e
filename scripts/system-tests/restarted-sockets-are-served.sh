# shellcheck shell=bash
# Sockets that an administrator restarts, or stops and starts, are served afterwards; stopped ones leave nothing behind.
# shellcheck source=scripts/system-tests/common
source ./common

systemctl restart totpd.socket totpd-user.socket
both_sockets_greet
eventually all_active

systemctl stop totpd.socket totpd-user.socket
for name in root user; do
    [ ! -e /run/pam-totp/$name.sock ] || fail "a stopped socket is still there: $name.sock"
done
! systemctl is-active --quiet totpd.service || fail "the daemon runs without its sockets"
systemctl start totpd.service
both_sockets_greet
eventually all_active
