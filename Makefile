# The one entry point; `make help` lists the commands. CMake presets (CMakePresets.json) do the work.
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
SEED ?=
RUNS ?= 1000
SECONDS_EACH ?= 60
ROLLS ?= 100

CONFIGURE = @test -f build/$@/build.ninja || cmake --preset $@ >build/$@.log 2>&1 || { cat build/$@.log >&2; exit 1; }
BUILD = @cmake --build build/$@ -j $(JOBS) --

.PHONY: all help packages release debug asan tsan fuzz-build coverage-build test sanitize test-peers rolls \
  demo bench bench-discovery bench-grpc fuzz sim soak swarm tidy format docs coverage deb install clean

all: release

help:
	@sed -n 's/^#: //p' Makefile

#: make              build build/release/fairlead and libfairlead
#: make demo         pods come and go under live traffic, in half a minute
#: make test         every test that needs only Debian packages
#: make sanitize     the same tests under ASan+UBSan, and those with threads under TSan
#: make test-peers   against a real kube-apiserver, etcd, controller manager, grpc-go, client-go
#: make rolls        ROLLS=100 rolling updates of ten pods under 2,000 calls/s
#: make sim SEED=n   one seeded world with its trace; make sim RUNS=n: many worlds
#: make soak         24 virtual hours of 1,000 events a second through all faults
#: make swarm        10,000 simulated clients through an API server's outage
#: make bench        the figures, as a table and in build/bench/results.json
#: make bench-discovery  discovery beside client-go, kube-rs and curl
#: make bench-grpc   calls beside grpc-go, gRPC C++ and h2load
#: make fuzz         every fuzz target for SECONDS_EACH=60 seconds
#: make coverage     lines that the tests reach; fails below 85 % outside the faces
#: make deb          Debian packages in build/deb, checked with lintian and by installing them
#: make tidy         clang-format and clang-tidy over the whole tree; make format rewrites
#: make docs         doc/errors.md from the list of causes
#: make install      to PREFIX=/usr/local
packages:
	@scripts/packages build
	@mkdir -p build

release debug asan tsan: packages
	$(CONFIGURE)
	$(BUILD)

test: release
	@cd build/release && ctest --output-on-failure -j $(JOBS)

sanitize: asan tsan
	@cd build/asan && ctest --output-on-failure -j $(JOBS)
	@cd build/tsan && ctest --output-on-failure -j $(JOBS) -L threads

test-peers: release
	@scripts/packages peers
	@build/release/tests/sim/fairlead-worlds --runs 10000
	@tests/peers/run

rolls: release
	@scripts/packages peers
	@ROLLS=$(ROLLS) tests/peers/run rolling_updates

demo: release
	@build/release/fairlead demo

bench: release
	@scripts/packages bench
	@tests/bench/run

bench-discovery: release
	@scripts/packages bench peers
	@tests/bench/bench-discovery

bench-grpc: release
	@scripts/packages bench bench-grpc peers
	@tests/bench/bench-grpc

fuzz:
	@scripts/packages build fuzz
	@mkdir -p build
	@cmake --preset fuzz >build/fuzz.log || { cat build/fuzz.log >&2; exit 1; }
	@cmake --build build/fuzz -j $(JOBS) --target fuzzers
	@tests/fuzz/run build/fuzz $(SECONDS_EACH)

sim: release
	@build/release/tests/sim/fairlead-worlds $(if $(SEED),--seed $(SEED) --trace,--jobs $$(nproc) --runs $(RUNS))

soak: release
	@GLIBC_TUNABLES=glibc.malloc.tcache_count=0 build/release/tests/sim/fairlead-worlds --soak

swarm: release
	@build/release/tests/sim/fairlead-worlds --swarm 10000

coverage: packages
	@cmake --preset coverage >build/coverage.log || { cat build/coverage.log >&2; exit 1; }
	@cmake --build build/coverage -j $(JOBS) --
	@cd build/coverage && ctest --output-on-failure -j $(JOBS)
	@scripts/coverage build/coverage

tidy: release
	@scripts/packages tidy
	@scripts/tidy build/release

format:
	@scripts/packages tidy
	@git ls-files '*.c' '*.h' | xargs clang-format-14 -i

docs: release
	@build/release/fairlead explain -o markdown >doc/errors.md

deb: packages
	@scripts/packages deb
	@scripts/deb
	@tests/package/deb build/deb tests/package

install: release
	@cmake --install build/release --prefix $(PREFIX)

clean:
	@rm -rf build
