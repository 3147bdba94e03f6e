# shellcheck shell=bash
# The daemon starts where nothing can be written to /tmp and /var/tmp, as on a full or read-only disk: systemd prepares
# some sandboxes there.
# shellcheck source=scripts/system-tests/common
source ./common

give_back() { umount /tmp /var/tmp; }
trap give_back EXIT
for directory in /tmp /var/tmp; do mount -t tmpfs -o ro none $directory; done
systemctl restart totpd.service || fail "systemctl restart totpd: the daemon does not start"
both_sockets_greet
