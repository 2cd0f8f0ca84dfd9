# make demo and make test are all that a newcomer needs; both set up what they use (Debian 12, root).
PREFIX ?= /usr
DESTDIR ?=
PACKAGE := resource-agents-smartvox
OCF := $(DESTDIR)$(PREFIX)/lib/ocf/resource.d/smartvox
DOC := $(DESTDIR)$(PREFIX)/share/doc/$(PACKAGE)
MAN := $(DESTDIR)$(PREFIX)/share/man
SBIN := $(DESTDIR)$(PREFIX)/sbin
BASH := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSH := $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions
FISH := $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
AGENTS := opensips-vip opensips
# For administrators.
COMMAND := smartvox
# The administrator's, once it is there.
SYSCTL := 60-opensips-nonlocal-bind.conf
# Writes its input into a file that everybody may read, whatever the umask.
PUT := install -m 644 /dev/stdin
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Where the agents are when they are built.
BUILT := $(TARGET)/agents
# This very machine, named so that the flags of `build` are the agents' alone and not those of build
# scripts and macros.
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
# The same tree gives the same programs and packages, wherever it lies and whenever it is built: no
# path of this machine in them, and no date but that of the last change.
CARGO_DIRECTORY := $(or $(CARGO_HOME),$(HOME)/.cargo)
REMAP := --remap-path-prefix=$(CURDIR)=. --remap-path-prefix=$(CARGO_DIRECTORY)=/cargo
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || \
	date -d "$$(sed -n 's/^ -- .*>  //p;T;q' packaging/debian/changelog)" +%s)
# For engineers, who have the repository, and for the book.
NOT_INSTALLED := docs/development.md docs/releasing.md docs/SUMMARY.md
# What packages are made of, and where they are when they are made.
TREE := target/tree
PACKAGES := target/packages
DIST := target/dist
# The root directory of a Debian 13 for the nodes of a lab.
DEBIAN13 ?= $(TARGET)/debian13
# cargo's tools for them, apart from those that the user has.
tree deb book: export PATH := $(CURDIR)/target/tools/bin:$(PATH)

.PHONY: all build setup demo test unit t rooms test-shipped check compare continuity chaos faults-injected fuzz bench calls install uninstall tree book deb rpm dist test-packages test-upgrade test-source-builds debian13 test-debian13 reproducible msrv \
	meta-data man clean

all: build

# Both agents and the command as they are shipped: by package, because a workspace build would unify features with the
# tests'; linked statically, because half of a monitor's cost would be the dynamic loader.
build:
	@CARGO="$(CARGO)" packaging/check-rust
	RUSTFLAGS="-C target-feature=+crt-static $(REMAP)" $(CARGO) build --release --locked --target $(HOST) \
		-p opensips-vip-ra -p opensips-ra -p $(COMMAND)
	install -D -t $(BUILT) $(addprefix $(TARGET)/$(HOST)/release/,$(AGENTS) $(COMMAND))

# Debian packages by name; nothing else of the machine is changed, no service is started.
setup:
	tests/setup

# A real two-node cluster on this machine: start, SIP at the virtual IP, power cut, SIP again.
demo: setup build
	tests/build
	$(TARGET)/debug/demo --agents $(BUILT)

# Unit tests, suites in network namespaces, suites on a real cluster.
test: setup
	tests/run

# Runs the unit tests of the libraries and of both agents. Needs neither root nor packages.
unit:
	tests/run --unit $(shell grep -hm1 '^name = ' crates/*/Cargo.toml | sed 's/.*"\(.*\)"/-p \1/') --lib

# Runs the tests whose name contains T: make t T=tags
t:
	@tests/named "$(T)"

# Prints how many imports there are between the rooms of each crate. tests/structure has the rules.
rooms:
	@$(CARGO) run -q --locked -p structure

# The agents as they are shipped (static, optimised, without unwinding) before the same suites.
test-shipped: setup build
	SMARTVOX_AGENTS=$(abspath $(BUILT)) tests/run --workspace --test vip --test opensips

# What CI asks beside the tests: format, lints, documentation, licences and duplicates.
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	$(CARGO) deny --locked check bans licenses sources

# The agents by the oldest compiler that Cargo.toml promises; rustup fetches it.
RUST_VERSION := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
msrv:
	rustup toolchain install $(RUST_VERSION) --profile minimal --no-self-update
	rustup run $(RUST_VERSION) $(CARGO) check --locked --target-dir $(TARGET)/msrv

# The faults of ocf:heartbeat:IPaddr2, put to it and to our agent, as a table; docs/peers.md.
compare: setup build
	tests/build
	$(TARGET)/debug/compare --agents $(BUILT)

# What a telephone service meets, played with our agents and with IPaddr2 on real clusters, as a table;
# S=switch-reboot plays the sequences with that in their name; docs/continuity.md.
continuity: setup build
	tests/build
	$(TARGET)/debug/continuity --agents $(BUILT) $(if $(S),--sequence $(S))

# Each system call of each action of both agents fails, in each way, one in each run, as a table. KINDS=yes: only the
# first and the last call of each kind (hours; all of them take days); SHARE=50 puts one fault in fifty, FIRST=7 begins
# with another one. CASE="stop, promoted" is that action in that state alone, OTHER=yes prints what ended otherwise than
# without a fault. With each OpenSIPS that OPENSIPS_BIN names, else with that of PATH, else with the stand-in;
# docs/development.md.
faults-injected: setup build
	tests/build
	$(TARGET)/debug/faults-injected --agents $(BUILT) $(if $(KINDS),--kinds) $(if $(SHARE),--share $(SHARE)) $(if $(FIRST),--first $(FIRST)) \
		$(if $(CASE),--case "$(CASE)") $(if $(OTHER),--other)

# Gives random inputs to each decoder, or T=arp to that one, for SECONDS (60) or for RUNS inputs; docs/development.md.
fuzz:
	tests/setup g++
	CARGO="$(CARGO)" tests/fuzz/run "$(T)" "$(SECONDS)" "$(RUNS)"

# Random faults at random moments on a real cluster, and what must hold all the same: ROUNDS=n SEED=s
# TOPOLOGY=active-standby|hot-standby|three-nodes. ROUND=17 begins there, FAULT=kill,cable are the only ones,
# COMBINED=10 lets two strike at once in ten rounds of a hundred, REPORT=docs writes docs/chaos.md.
chaos: setup build
	tests/build
	$(TARGET)/debug/chaos --agents $(BUILT) $(if $(TOPOLOGY),--topology $(TOPOLOGY)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(SEED),--seed $(SEED)) $(if $(ROUND),--round $(ROUND)) $(if $(FAULT),--fault $(FAULT)) \
		$(if $(COMBINED),--combined $(COMBINED)) $(if $(REPORT),--report $(REPORT))

# Our agents beside IPaddr2, keepalived and a shell loop, as ratios. REPORT=docs also writes the page
# docs/benchmarks.md with its pictures; P=move measures that part alone; P=calls (many hand-overs with calls) and P=scale (many
# addresses and nodes) are no part of the whole and write pages of their own; MOVES=20 hands each pair over 20 times, FAILOVERS=2
# plays each failover twice.
bench: build
	tests/setup keepalived valgrind kamailio sipsak
	tests/build
	$(TARGET)/debug/bench --agents $(BUILT) $(if $(P),--only $(P)) $(if $(MOVES),--moves $(MOVES)) \
		$(if $(FAILOVERS),--failovers $(FAILOVERS)) $(if $(REPORT),--report $(REPORT))

# Calls by SIPp through both examples while they fail over: needs a real OpenSIPS; docs/calls.md.
calls: setup build
	tests/build
	$(TARGET)/debug/calls --agents $(BUILT)

install:
	install -d $(OCF) $(DOC)/examples $(DOC)/monitoring $(DOC)/pictures $(DOC)/schemas $(MAN)/man7 $(MAN)/man8
	install -D -m 755 -t $(SBIN) $(BUILT)/$(COMMAND)
	install -D -m 644 packaging/completions/$(COMMAND).bash $(BASH)/$(COMMAND)
	install -D -m 644 -t $(ZSH) packaging/completions/_$(COMMAND)
	install -D -m 644 -t $(FISH) packaging/completions/$(COMMAND).fish
	for agent in $(AGENTS); do install -m 755 $(BUILT)/$$agent $(OCF)/$$agent || exit 1; done
	for page in README.md $(filter-out $(NOT_INSTALLED),$(wildcard docs/*.md)); do \
		sed -f packaging/installed-links.sed $$page | $(PUT) $(DOC)/$${page##*/} || exit 1; done
	gzip -9nc CHANGELOG.md | $(PUT) $(DOC)/changelog.gz
	for page in packaging/man/*.[78]; do \
		gzip -9nc $$page | $(PUT) $(MAN)/man$${page##*.}/$${page##*/}.gz || exit 1; done
	install -m 755 pcs-examples/*.sh $(DOC)/examples/
	install -m 644 pcs-examples/*.cfg $(DOC)/examples/
	install -m 644 docs/monitoring/* $(DOC)/monitoring/
	install -m 644 docs/pictures/* $(DOC)/pictures/
	install -m 644 docs/schemas/*.json $(DOC)/schemas/
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/tmpfiles.d packaging/tmpfiles.d/smartvox.conf
	[ -e $(DESTDIR)/etc/sysctl.d/$(SYSCTL) ] || \
		install -D -m 644 -t $(DESTDIR)/etc/sysctl.d packaging/sysctl.d/$(SYSCTL)

uninstall:
	for agent in $(AGENTS); do rm -f $(OCF)/$$agent; done
	if [ -d $(OCF) ]; then rmdir --ignore-fail-on-non-empty $(OCF); fi
	rm -rf $(DOC) $(patsubst packaging/man/%,$(MAN)/man7/%.gz,$(wildcard packaging/man/*.7))
	rm -f $(SBIN)/$(COMMAND) $(MAN)/man8/$(COMMAND).8.gz $(BASH)/$(COMMAND) $(ZSH)/_$(COMMAND) $(FISH)/$(COMMAND).fish
	rm -f $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/smartvox.conf
	cmp -s packaging/sysctl.d/$(SYSCTL) $(DESTDIR)/etc/sysctl.d/$(SYSCTL) && rm $(DESTDIR)/etc/sysctl.d/$(SYSCTL) || true

# Both packages are this tree: what `make install` installs, and what is said about the libraries in it.
tree: build
	packaging/tools cargo-cyclonedx jq
	rm -rf $(TREE)
	$(MAKE) install DESTDIR=$(TREE) PREFIX=/usr
	packaging/bill-of-materials $(HOST) > $(TREE).part
	$(PUT) $(TREE)/usr/share/doc/$(PACKAGE)/$(PACKAGE).cdx.json < $(TREE).part
	packaging/copyright $(HOST) > $(TREE).part
	$(PUT) $(TREE)/usr/share/doc/$(PACKAGE)/copyright < $(TREE).part
	rm $(TREE).part

# README.md, docs and the manual pages as HTML, in target/book/html.
book:
	packaging/tools mdbook mandoc
	packaging/book

deb: tree
	packaging/tools cargo-deb
	install -d $(PACKAGES)
	$(CARGO) deb --quiet -p $(PACKAGE) --no-build --no-strip --locked -o $(PACKAGES)/

rpm: tree
	install -d $(PACKAGES)
	packaging/tools rpmbuild
	packaging/rpm/build $(TREE) $(PACKAGES)

# The source packages of the last commit, with the libraries in them: docs/releasing.md.
dist:
	packaging/tools jq xz dpkg-source rpmbuild
	packaging/dist $(DIST)

# What is in the packages, lintian, rpmlint; the source packages again from another clone; fresh Debian roots.
# A tree without a commit of its own has no source packages.
test-packages: deb rpm
	tests/packages content
	if git diff --quiet HEAD; then \
		packaging/tools jq xz dpkg-source rpmbuild && packaging/dist $(DIST) && tests/packages source; else \
		echo "SKIPPED source packages: they are made of a commit, and this tree is not one"; fi
	tests/packages roots

# Each package is upgraded, and downgraded, on a cluster that serves; dnf and zypper do it in a root: eight minutes.
test-upgrade: deb rpm
	tests/build
	tests/packages pair
	tests/packages pair-rpm
	tests/packages dnf-zypper

# The source packages are built without a network in a fresh Debian 12 and 13 and by rpmbuild: half an hour.
test-source-builds: deb rpm dist
	tests/packages source-builds

# The nodes of `lab up --root target/debian13`: Pacemaker 3.0, Corosync 3.1.9, pcs 0.12.
debian13:
	tests/debian13 $(DEBIAN13)

# The suites with clusters on Debian 13's cluster software, and a rolling upgrade of both examples to it. The hot standby is skipped
# without a real OpenSIPS (OPENSIPS_BIN).
test-debian13: setup debian13
	LAB_ROOT=$(abspath $(DEBIAN13)) tests/run -p suites --test cluster --test upgrade --test migration --test examples --test hot_standby --test continuity

reproducible: deb rpm
	tests/packages reproducible

# The meta-data as installed; the tests hold it equal to what the agents print.
meta-data:
	$(CARGO) build --locked
	for agent in $(AGENTS); do $(TARGET)/debug/$$agent meta-data > ocf/$$agent.xml || exit 1; done

# The manual pages and completions as installed, from the same tables.
man:
	install -d packaging/man packaging/completions
	$(CARGO) run -q --locked -p manual -- packaging/man packaging/completions

clean:
	$(CARGO) clean
