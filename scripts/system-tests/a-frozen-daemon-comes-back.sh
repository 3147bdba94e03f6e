# shellcheck shell=bash
# The daemon is stopped by SIGSTOP: systemd notices, ends it and starts another.
# shellcheck source=scripts/system-tests/common
source ./common

eventually all_active
frozen=$(main_pid)
kill -STOP "$frozen"
eventually has_pid_other_than "$frozen"
eventually all_active
both_sockets_greet
