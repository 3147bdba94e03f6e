# The few commands a person types. What they do is said in scripts/, one file each.

PREFIX     ?= /usr/local
DESTDIR    ?=
SBINDIR    ?= $(PREFIX)/sbin
MANDIR     ?= $(PREFIX)/share/man
UNITDIR    ?= /usr/lib/systemd/system
# Where libpam looks for modules: a directory named after the architecture on Debian.
SECURITYDIR ?= $(shell scripts/security-directory)
UNITS      := $(notdir $(wildcard packaging/systemd/*))
CARGO      ?= cargo
TARGET     := $(or $(CARGO_TARGET_DIR),target)

.PHONY: all test test-system race fuzz sanitize bench observe torture attack deny reproducible demo install uninstall clean

all:
	@PAM_TOTP_ONCE=$(SBINDIR)/totpd scripts/build-release

# Everything, end-to-end tests as root included; without root what needs none.
test:
	@scripts/test

# In a booted container, under systemd; and the end-to-end tests with the daemon and without. Not part of `test`.
# make test-system CHECK="units-are-sound": this one, without the end-to-end tests.
test-system:
	@scripts/test-system $(CHECK)

# Every parser, guided by coverage, a minute each. make fuzz TARGET=record TIME=600: that one, for so many seconds.
fuzz:
	@TIME="$(TIME)" scripts/fuzz $(if $(filter command,$(firstword $(origin TARGET))),$(TARGET))

# Thousands of logins in one program, under AddressSanitizer. Needs a nightly toolchain: docs/host-safety.md.
sanitize:
	@scripts/sanitize

# Logins beside other modules' and beside nothing; writes the tables of docs/performance.md and docs/observer.md.
# make bench ONLY=durable: one question's tables, on standard output alone.
bench:
	@ONLY="$(ONLY)" scripts/bench
	@$(if $(ONLY),:,scripts/observe)

# The second of these alone: what an observer learns from how long a refusal takes.
observe:
	@scripts/observe

# Logins and commands killed at random instants, and every call that can fail: docs/reliability.md.
torture:
	@scripts/torture

# Years of guessing on the pure floor, and days through libpam: docs/attack.md.
attack:
	@scripts/attack

# Licences, sources, duplicates and known faults of everything that comes in from outside. Needs cargo-deny.
deny:
	@scripts/deny

# The last commit, built in two folders, has the same bytes: docs/reproducible-builds.md.
reproducible:
	@scripts/check-reproducible

# One code in 32 processes, a thousand rounds of each kind, other modules beside it, and the large scenes of the model.
race:
	@scripts/race

# One enrollment and four logins over a real sshd on loopback, in a house of its own.
demo:
	@scripts/demo

# Does not build: `make` first, then `sudo make install`, so that no compiler runs as root.
install:
	@test -f $(TARGET)/module/libpam_totp.so -a -f $(TARGET)/release/totpd || \
		{ echo "nothing to install yet: run make first" >&2; exit 1; }
	@test -n "$(SECURITYDIR)"
	install -D -m 644 $(TARGET)/module/libpam_totp.so $(DESTDIR)$(SECURITYDIR)/pam_totp.so
	install -D -m 755 -t $(DESTDIR)$(SBINDIR) $(TARGET)/release/totpd \
		$(TARGET)/release/totp-admin $(TARGET)/release/totp-agent
	install -D -m 644 -t $(DESTDIR)$(MANDIR)/man8 docs/man/*.8
	install -D -m 644 -t $(DESTDIR)$(MANDIR)/man5 docs/man/*.5
	install -d -m 755 $(DESTDIR)$(UNITDIR)
	for unit in $(UNITS); do \
		sed 's|@SBINDIR@|$(SBINDIR)|' packaging/systemd/$$unit >$(DESTDIR)$(UNITDIR)/$$unit && \
		chmod 644 $(DESTDIR)$(UNITDIR)/$$unit || exit 1; \
	done
	@if [ -z "$(DESTDIR)" ]; then rm -f /usr/lib/tmpfiles.d/pam-totp.conf; $(SBINDIR)/totp-admin init; fi
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then \
		systemctl daemon-reload; systemctl try-restart totpd.service totp-agent.service; fi
	@if [ -n "$(DESTDIR)" ]; then echo "On the machine itself run totp-admin init, after each upgrade too: until then logins are denied."; fi
	@echo "Installed. No login is changed yet: README.md says how to switch it on."
	@echo "The daemon that decides logins: systemctl enable --now totpd.socket totpd-user.socket totpd"
	@echo "Mail about what logins cause, and text messages: systemctl enable --now totp-agent"

# Records, the permanent record and the configuration stay: they may be wanted again, or be evidence.
uninstall:
	@if [ -z "$(DESTDIR)" ] && grep -ls pam_totp.so /etc/pam.d/*; then \
		echo "these files still name pam_totp.so; without the module they let nobody in" >&2; exit 1; fi
	@if [ -z "$(DESTDIR)" ]; then on=; for unit in $(UNITS); do \
		if systemctl is-enabled --quiet $$unit 2>/dev/null || systemctl is-active --quiet $$unit 2>/dev/null; \
			then on="$$on $$unit"; fi; done; \
		if [ -n "$$on" ]; then echo "these units are still on: systemctl disable --now$$on" >&2; exit 1; fi; fi
	rm -f $(addprefix $(DESTDIR)$(MANDIR)/man8/,$(notdir $(wildcard docs/man/*.8))) \
		$(addprefix $(DESTDIR)$(MANDIR)/man5/,$(notdir $(wildcard docs/man/*.5)))
	rm -f $(DESTDIR)$(SECURITYDIR)/pam_totp.so $(DESTDIR)$(SBINDIR)/totp-admin \
		$(DESTDIR)$(SBINDIR)/totp-agent $(DESTDIR)$(SBINDIR)/totpd $(addprefix $(DESTDIR)$(UNITDIR)/,$(UNITS))
	@echo "Kept: /etc/pam-totp, /var/lib/pam-totp, /var/log/pam-totp"

clean:
	$(CARGO) clean
