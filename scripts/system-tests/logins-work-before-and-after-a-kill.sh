# shellcheck shell=bash
# The right code logs in through su and sshd, a wrong one does not, and the same after the daemon was killed.
# shellcheck source=scripts/system-tests/common
source ./common

log_in_everywhere() {
    local way
    for way in su_with ssh_with; do
        new_user
        ! $way 000000 || fail "$way, $1: a wrong code was accepted"
        $way "$(code)" || fail "$way, $1: the right code was refused"
        ! $way "$(code)" || fail "$way, $1: a code was accepted twice"
    done
}

log_in_everywhere "before the kill"
kill -KILL "$(main_pid)"
log_in_everywhere "after the kill"
