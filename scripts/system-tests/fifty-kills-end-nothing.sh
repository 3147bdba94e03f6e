# shellcheck shell=bash
# The daemon is killed fifty times in ten seconds while callers connect: afterwards its units are active and both
# sockets are served.
# shellcheck source=scripts/system-tests/common
source ./common

# Connections that wait start the daemon too, and systemd counts those starts.
python3 -c '
import socket
while True:
    for name in "root", "user":
        try:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            connection.settimeout(0.1)
            connection.connect(f"/run/pam-totp/{name}.sock")
            connection.recv(65536)
        except OSError:
            pass' &

began=$(date +%s%N) pid=0 last=0
for round in {1..50}; do
    # Ten times as soon as it serves, then as soon as there is one: more than 20 starts within 2 s.
    if ((round <= 10)); then eventually systemctl is-active --quiet totpd.service; fi
    last=$pid pid=0
    while [ "$pid" = 0 ] || [ "$pid" = "$last" ]; do pid=$(main_pid); done
    kill -KILL "$pid" || true
done
took=$((($(date +%s%N) - began) / 1000000))
kill $!
echo "fifty kills in $took ms"
[ $took -le 10000 ] || fail "too slow to show anything"

eventually all_active
both_sockets_greet
