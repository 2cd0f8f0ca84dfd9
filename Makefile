# make demo and make test are all that a newcomer needs; both set up what they use (Debian 12, root).
PREFIX ?= /usr
DESTDIR ?=
OCF := $(DESTDIR)$(PREFIX)/lib/ocf/resource.d/smartvox
DOC := $(DESTDIR)$(PREFIX)/share/doc/ocf-smartvox
AGENTS := opensips-vip opensips
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Where the agents are when they are built.
BUILT := $(TARGET)/agents
# This very machine, named so that the flags of `build` are the agents' alone and not those of build
# scripts and macros.
HOST := $(shell rustc -vV | sed -n 's/^host: //p')

.PHONY: all build setup demo test test-shipped check compare bench install uninstall meta-data man clean

all: build

# Both agents as they are shipped: by package, because a workspace build would unify features with the
# tests'; linked statically, because half of a monitor's cost would be the dynamic loader.
build:
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release --locked --target $(HOST) \
		-p opensips-vip-ra -p opensips-ra
	install -D -t $(BUILT) $(addprefix $(TARGET)/$(HOST)/release/,$(AGENTS))

# Debian packages by name; nothing else of the machine is changed, no service is started.
setup:
	tests/setup

# A real two-node cluster on this machine: start, SIP at the virtual IP, power cut, SIP again.
demo: setup build
	$(CARGO) build --locked -p lab -p suites -p opensips-stand-in --bins
	$(TARGET)/debug/demo --agents $(BUILT)

# Unit tests, suites in network namespaces, suites on a real cluster.
test: setup
	tests/run

# The agents as they are shipped (static, optimised, without unwinding) before the same suites.
test-shipped: setup build
	$(CARGO) build --workspace --locked --bins
	SMARTVOX_AGENTS=$(abspath $(BUILT)) $(CARGO) test --locked -p suites --test vip --test opensips

# What CI asks beside the tests: format, lints, documentation, licences and duplicates.
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	$(CARGO) deny --locked check bans licenses sources

# The faults of ocf:heartbeat:IPaddr2, put to it and to our agent, as a table; docs/peers.md.
compare: setup build
	$(CARGO) build --locked -p suites --bins
	$(TARGET)/debug/compare --agents $(BUILT)

# Our agents and ocf:heartbeat:IPaddr2 side by side, as ratios.
bench: setup build
	$(CARGO) build --locked -p lab -p suites -p opensips-stand-in --bins
	$(TARGET)/debug/bench --agents $(BUILT)

install:
	install -d $(OCF) $(DOC)/examples
	for agent in $(AGENTS); do install -m 755 $(BUILT)/$$agent $(OCF)/$$agent || exit 1; done
	install -m 644 README.md CHANGELOG.md docs/*.md $(DOC)/
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man7 packaging/man/*.7
	install -m 755 pcs-examples/*.sh $(DOC)/examples/
	install -m 644 pcs-examples/*.cfg packaging/sysctl.d/* $(DOC)/examples/

uninstall:
	for agent in $(AGENTS); do rm -f $(OCF)/$$agent; done
	if [ -d $(OCF) ]; then rmdir --ignore-fail-on-non-empty $(OCF); fi
	rm -rf $(DOC) $(addprefix $(DESTDIR)$(PREFIX)/share/man/man7/,$(notdir $(wildcard packaging/man/*.7)))

# The meta-data as installed; the tests hold it equal to what the agents print.
meta-data:
	$(CARGO) build --locked
	for agent in $(AGENTS); do $(TARGET)/debug/$$agent meta-data > ocf/$$agent.xml || exit 1; done

# The manual pages as installed, from the same tables.
man:
	install -d packaging/man
	for agent in $(AGENTS); do \
		$(CARGO) run -q --locked --example $$agent-manual > packaging/man/ocf_smartvox_$$agent.7 || exit 1; done

clean:
	$(CARGO) clean
