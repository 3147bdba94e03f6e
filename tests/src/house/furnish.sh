# Furnishes one private house: runs as root in a mount namespace of its own (`unshare --mount
# --propagation private`), so that nothing here is seen outside, and all is gone with the last process
# inside. The directories a login touches are replaced; programs and libraries are the machine's own.
#
#   $1  directory on disk of this house    $2  directory of PAM modules    $3  pam_totp.so, or nothing
#   $4  totp-admin, or nothing             $5  socket that collects syslog $6  the small PAM application
#   $7  totp-agent, or nothing             $8  totpd, or nothing
set -eu
disk=$1 security=$2 module=$3 command=$4 log=$5 application=$6 agent=${7-} daemon=${8-}

fresh() { mkdir -p "$1" && mount -t tmpfs -o "mode=$2,size=64m" house "$1"; }

# /etc: what the loader and the name service need, and nothing of this machine's own settings.
fresh "$disk/etc" 755
for name in ld.so.cache ld.so.conf ld.so.conf.d login.defs security alternatives shells services \
    protocols ssl terminfo; do
    if [ -e "/etc/$name" ]; then cp -a "/etc/$name" "$disk/etc/"; fi
done
mkdir "$disk/etc/pam.d" "$disk/etc/ssh"
install -d -m 755 "$disk/etc/pam-totp"
ln -s /proc/self/mounts "$disk/etc/mtab"
printf '127.0.0.1 localhost %s\n' "$(uname -n)" >"$disk/etc/hosts"
mount --move "$disk/etc" /etc

# /dev: the usual nodes, the machine's own pseudo-terminals, and our collector in the place of syslog.
fresh "$disk/dev" 755
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx "$disk/dev/"
mkdir "$disk/dev/pts" "$disk/dev/shm" "$disk/dev/machine"
touch "$disk/dev/log"
ln -s /proc/self/fd "$disk/dev/fd"
mount --bind /dev/pts "$disk/dev/pts"
mount --bind /dev "$disk/dev/machine"
mount --bind "$log" "$disk/dev/log"
mount --move "$disk/dev" /dev

# The module and the command, as installed.
cp -a "$security" "$disk/security"
mount --bind "$disk/security" "$security"
fresh /usr/local/sbin 755
fresh /usr/local/bin 755
if [ -n "$module" ]; then
    touch "$security/pam_totp.so"
    mount --bind "$module" "$security/pam_totp.so"
fi
if [ -n "$command" ]; then
    touch /usr/local/sbin/totp-admin
    mount --bind "$command" /usr/local/sbin/totp-admin
fi
if [ -n "$agent" ]; then
    touch /usr/local/sbin/totp-agent
    mount --bind "$agent" /usr/local/sbin/totp-agent
fi
if [ -n "$daemon" ]; then
    touch /usr/local/sbin/totpd
    mount --bind "$daemon" /usr/local/sbin/totpd
fi
touch /usr/local/bin/pam-application
mount --bind "$application" /usr/local/bin/pam-application

# What logins write. /var/lib stays on disk: flushing to it must mean what it means.
fresh /run 755
fresh /home 755
fresh /var/log 755
mkdir "$disk/var-lib"
mount --bind "$disk/var-lib" /var/lib
install -d -m 755 /run/sshd
if [ -n "$command" ]; then totp-admin init >/dev/null; fi
touch /run/utmp /var/log/wtmp /var/log/lastlog
install -m 600 /dev/null /var/log/btmp
