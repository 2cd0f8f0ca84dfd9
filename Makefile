# make demo and make test are all that a newcomer needs; both set up what they use (Debian 12, root).
PREFIX ?= /usr
DESTDIR ?=
OCF := $(DESTDIR)$(PREFIX)/lib/ocf/resource.d/smartvox
AGENTS := opensips-vip opensips
CARGO ?= cargo

.PHONY: all build setup demo test check compare bench install uninstall meta-data clean

all: build

# Both agents as they are shipped. By package: a workspace build would unify features with the tests'.
build:
	$(CARGO) build --release --locked -p opensips-vip-ra -p opensips-ra

# Debian packages by name; nothing else of the machine is changed, no service is started.
setup:
	tests/setup

# A real two-node cluster on this machine: start, SIP at the virtual IP, power cut, SIP again.
demo: setup build
	$(CARGO) build --locked -p lab -p suites -p opensips-stand-in --bins
	target/debug/demo --agents target/release

# Unit tests, suites in network namespaces, suites on a real cluster.
test: setup
	tests/run

# What CI asks beside the tests: format, lints, documentation, licences and duplicates.
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	$(CARGO) deny --locked check bans licenses sources

# The faults of ocf:heartbeat:IPaddr2, put to it and to our agent, as a table; docs/peers.md.
compare: setup build
	$(CARGO) build --locked -p suites --bins
	target/debug/compare --agents target/release

# Our agents and ocf:heartbeat:IPaddr2 side by side, as ratios.
bench: setup build
	$(CARGO) build --locked -p lab -p suites -p opensips-stand-in --bins
	target/debug/bench --agents target/release

install:
	install -d $(OCF) $(DESTDIR)$(PREFIX)/share/doc/ocf-smartvox/examples
	for agent in $(AGENTS); do install -m 755 target/release/$$agent $(OCF)/$$agent || exit 1; done
	install -m 644 README.md CHANGELOG.md $(DESTDIR)$(PREFIX)/share/doc/ocf-smartvox/
	install -m 644 pcs-examples/* packaging/sysctl.d/* $(DESTDIR)$(PREFIX)/share/doc/ocf-smartvox/examples/

uninstall:
	for agent in $(AGENTS); do rm -f $(OCF)/$$agent; done
	if [ -d $(OCF) ]; then rmdir --ignore-fail-on-non-empty $(OCF); fi
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/ocf-smartvox

# The meta-data as installed; the tests hold it equal to what the agents print.
meta-data:
	$(CARGO) build --locked
	for agent in $(AGENTS); do target/debug/$$agent meta-data > ocf/$$agent.xml || exit 1; done

clean:
	$(CARGO) clean
