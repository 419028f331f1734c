# denoised: `make help` lists what can be made.
#
# Every leaf folder is one static library; IN_<layer> says which folders its files may include
# from, and that IS the layering: a file that reaches further does not compile.

BUILD   ?= build
ifeq ($(origin CC),default)
CC := gcc
endif
PREFIX  ?= /usr/local
OPT     ?= -O3 -g
SAN     ?=
VERSION := $(shell cat VERSION)

STD   := -std=c11 -D_GNU_SOURCE -fno-math-errno -DDEN_VERSION='"$(VERSION)"'
WARN  := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
         -Wformat=2 -Wundef -Wwrite-strings -Wcast-qual -Wpointer-arith -Wdouble-promotion \
         -Wconversion $(if $(CI),-Werror)
HARD  := $(if $(SAN),,-D_FORTIFY_SOURCE=3) -fstack-protector-strong -fPIE
FLAGS := $(STD) $(WARN) $(HARD) $(OPT) $(SAN) $(CFLAGS) -pthread -MMD -MP
LINK  := -pthread -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SAN) $(LDFLAGS)

# `make V=1` shows whole command lines.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' $(1) $(2))

# ---- layers -----------------------------------------------------------------------------
BASE := core/base
IN_base    := $(BASE)
IN_image   := $(BASE) core/image
IN_nn      := $(BASE) core/nn
IN_restore := $(BASE) core/image core/nn core/restore
IN_train   := $(IN_restore) core/train
IN_jobs    := $(IN_train) server/jobs
IN_http    := $(BASE) server/http
IN_server  := $(BASE) server
IN_api     := $(IN_jobs) server/http server api $(BUILD)/gen
IN_cli     := $(BASE) core/image core/nn core/restore api/cli
IN_main    := $(IN_api)

DIR_base := core/base
DIR_image := core/image
DIR_nn := core/nn
DIR_restore := core/restore
DIR_train := core/train
DIR_jobs := server/jobs
DIR_http := server/http
DIR_server := server
DIR_api := api
DIR_cli := api/cli
LAYERS := base image nn restore train jobs http server api cli

# A layer's library and, behind it, all it may use (link order).
LIBS_base    := base
LIBS_image   := image base
LIBS_nn      := nn base
LIBS_restore := restore image nn base
LIBS_train   := train $(LIBS_restore)
LIBS_jobs    := jobs $(LIBS_train)
LIBS_http    := http base
LIBS_server  := server base
LIBS_api     := api http server $(LIBS_jobs)
LIBS_cli     := cli $(LIBS_restore)

# System libraries of a layer, by pkg-config name.
PKG_base    :=
PKG_image   := libpng libtiff-4 libxml-2.0 libseccomp
PKG_nn      := openblas
PKG_restore := $(PKG_image) $(PKG_nn)
PKG_train   := $(PKG_restore) nettle
PKG_jobs    := $(PKG_train) sqlite3 nettle zlib
PKG_http    := libmicrohttpd gnutls nettle
PKG_server  := libcurl
PKG_api     := $(PKG_jobs) $(PKG_http) $(PKG_server) jansson
PKG_cli     := $(PKG_restore) libcurl jansson nettle
pkgflags = $(if $(1),$(shell pkg-config --cflags $(1)))
pkglibs  = $(if $(1),$(shell pkg-config --libs $(1))) -lm

SRC = $(sort $(wildcard $(1)/*.c))
objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
libs = $(foreach l,$(LIBS_$(1)),$(BUILD)/lib/libden_$(l).a)

SRC_server := $(filter-out server/main.c,$(call SRC,server))
SRC_cli := $(filter-out api/cli/main.c,$(call SRC,api/cli))
src_of = $(if $(filter server cli,$(1)),$(SRC_$(1)),$(call SRC,$(DIR_$(1))))

PROGRAMS := $(BUILD)/denoised $(BUILD)/denoise

.PHONY: all setup demo test test-full test-contract run install uninstall clean format lint asan tsan fuzz help \
        check-all bench bench-peers bench-http
all: $(PROGRAMS)  ## build denoised and denoise into build/

define layer
$(BUILD)/lib/libden_$(1).a: $$(call objs,$$(call src_of,$(1)))
$$(call objs,$$(call src_of,$(1))): INC := $(addprefix -iquote ,$(IN_$(1)))
$$(call objs,$$(call src_of,$(1))): PKG := $(PKG_$(1))
endef
$(foreach l,$(LAYERS),$(eval $(call layer,$(l))))

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,cc,$<)
	$(Q)$(CC) $(FLAGS) $(INC) $(call pkgflags,$(PKG)) -c $< -o $@

$(BUILD)/lib/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/obj/server/main.o: INC := $(addprefix -iquote ,$(IN_main))
$(BUILD)/obj/server/main.o: PKG := $(PKG_api)
$(BUILD)/denoised: $(BUILD)/obj/server/main.o $(call libs,api)
	$(call say,ld,$@)
	$(Q)$(CC) $(LINK) $^ $(call pkglibs,$(PKG_api)) -o $@

$(BUILD)/obj/api/cli/main.o: INC := $(addprefix -iquote ,$(IN_cli))
$(BUILD)/obj/api/cli/main.o: PKG := $(PKG_cli)
$(BUILD)/denoise: $(BUILD)/obj/api/cli/main.o $(call libs,cli)
	$(call say,ld,$@)
	$(Q)$(CC) $(LINK) $^ $(call pkglibs,$(PKG_cli)) -o $@

# The contract and the page are part of the program.
WEB := $(sort $(wildcard $(addprefix api/web/*.,html css js svg)))
$(BUILD)/gen/openapi.inc: openapi.yaml
	@mkdir -p $(@D)
	$(Q)od -An -v -td1 $< | sed 's/ *\(-*[0-9][0-9]*\)/\1,/g' > $@
$(BUILD)/gen/web_files.inc: api/web/embed.sh $(WEB)
	@mkdir -p $(@D)
	$(Q)api/web/embed.sh $(WEB) > $@
GENERATED := $(BUILD)/gen/openapi.inc $(BUILD)/gen/web_files.inc
$(BUILD)/obj/api/h_system.o $(BUILD)/obj/api/h_web.o: $(GENERATED)

# ---- core/nn once more in double, for gradient checks ---------------------------------
NN64 := $(patsubst %.c,$(BUILD)/obj64/%.o,$(call SRC,core/nn))
$(BUILD)/obj64/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,cc64,$<)
	$(Q)$(CC) $(FLAGS) -DDEN_REAL_DOUBLE $(addprefix -iquote ,$(IN_nn)) \
	    $(call pkgflags,$(PKG_nn)) -c $< -o $@
$(BUILD)/lib/libden_nn64.a: $(NN64)

# ---- tests: tests/unit/<layer>/test_*.c links that layer and those below, nothing else --
UNIT_LAYERS := base image nn restore train jobs http server
define unit_layer
TESTS += $$(patsubst tests/%.c,$(BUILD)/tests/%,$$(sort $$(wildcard tests/unit/$(1)/test_*.c)))
$(BUILD)/tests/unit/$(1)/%: tests/unit/$(1)/%.c $$(call libs,$(1)) tests/den_check.h Makefile
	@mkdir -p $$(@D)
	$$(call say,test,$$<)
	$$(Q)$$(CC) $$(FLAGS) $$(addprefix -iquote ,tests $$(IN_$(1))) \
	    $$(call pkgflags,check $$(PKG_$(1))) $$< $$(call libs,$(1)) $$(LINK) \
	    $$(call pkglibs,check $$(PKG_$(1))) -o $$@
endef
$(foreach l,$(UNIT_LAYERS),$(eval $(call unit_layer,$(l))))

TESTS += $(patsubst tests/%.c,$(BUILD)/tests/%,$(sort $(wildcard tests/grad/test_*.c)))
$(BUILD)/tests/grad/%: tests/grad/%.c $(BUILD)/lib/libden_nn64.a $(call libs,base) \
    tests/den_check.h Makefile
	@mkdir -p $(@D)
	$(call say,test,$<)
	$(Q)$(CC) $(FLAGS) -DDEN_REAL_DOUBLE $(addprefix -iquote ,tests $(IN_nn)) \
	    $(call pkgflags,check $(PKG_nn)) $< $(BUILD)/lib/libden_nn64.a $(call libs,base) \
	    $(LINK) $(call pkglibs,check $(PKG_nn)) -o $@

TESTS += $(patsubst tests/%.c,$(BUILD)/tests/%,$(sort $(wildcard tests/backend/test_*.c)))
$(BUILD)/tests/backend/%: tests/backend/%.c $(call libs,nn) tests/den_check.h Makefile
	@mkdir -p $(@D)
	$(call say,test,$<)
	$(Q)$(CC) $(FLAGS) $(addprefix -iquote ,tests $(IN_nn)) $(call pkgflags,check $(PKG_nn)) \
	    $< $(call libs,nn) $(LINK) $(call pkglibs,check $(PKG_nn)) -o $@

# The real daemon on a free port, spoken to with libcurl and jansson: stories, and proofs
# that have a long form for `make test-full`.
TESTS += $(patsubst tests/%.c,$(BUILD)/tests/%,$(sort $(wildcard tests/http/test_*.c tests/torture/test_*.c)))
$(BUILD)/obj/tests/http/%.o $(BUILD)/obj/tests/torture/%.o: INC := $(addprefix -iquote ,tests tests/http $(IN_api))
$(BUILD)/obj/tests/http/%.o $(BUILD)/obj/tests/torture/%.o: PKG := check libcurl $(PKG_api)
HTTP_HELP := $(call objs,$(filter-out tests/http/test_%.c,$(wildcard tests/http/*.c)))
# The daemon once more with the seams of core/base/fault.h: sources that have one are
# compiled for it and stand before their libraries.
TORTURE_HELP := $(call objs,$(filter-out tests/torture/test_%.c,$(wildcard tests/torture/*.c)))
FAULTY := $(patsubst %.c,$(BUILD)/faults/obj/%.o,$(sort \
    $(shell grep -rl --include='*.c' DEN_FAILPOINT core server api)))
$(BUILD)/faults/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,cc+f,$<)
	$(Q)$(CC) $(FLAGS) -DDEN_FAULTS $(addprefix -iquote ,$(IN_main)) \
	    $(call pkgflags,$(PKG_api)) -c $< -o $@
$(BUILD)/faults/denoised: $(BUILD)/obj/server/main.o $(BUILD)/obj/tests/torture/faults.o \
    $(FAULTY) $(call libs,api)
	@mkdir -p $(@D)
	$(call say,ld,$@)
	$(Q)$(CC) $^ $(LINK) $(call pkglibs,$(PKG_api)) -o $@
$(BUILD)/gen/fault_points.inc: $(shell grep -rl --include='*.c' DEN_FAILPOINT core server api)
	@mkdir -p $(@D)
	$(Q)grep -oh 'DEN_FAILPOINT("[a-z_]*")' $^ /dev/null | \
	    sed 's/.*(\(.*\))/\1,/' | sort -u >$@
$(BUILD)/obj/tests/torture/faults.o: $(BUILD)/gen/fault_points.inc
# It stands before libc from the very first call on, when no sanitizer is ready yet.
$(BUILD)/obj/tests/torture/faults.o: FLAGS := $(filter-out -fsanitize=%,$(FLAGS))
define http_program
$(BUILD)/tests/$(1)/%: $(BUILD)/obj/tests/$(1)/%.o $$(HTTP_HELP) $$(call libs,api) \
    $(BUILD)/denoised $(BUILD)/denoise $(2)
	@mkdir -p $$(@D)
	$$(call say,test,$$<)
	$$(Q)$$(CC) $$(filter %.o,$$^) $$(call libs,api) $$(LINK) \
	    $$(call pkglibs,check libcurl $$(PKG_api)) -o $$@
endef
$(eval $(call http_program,http,))
$(eval $(call http_program,torture,$(TORTURE_HELP) $(BUILD)/faults/denoised))
.SECONDARY:

# ---- fuzzing: fuzz_<name>.c is one parser; plain tests replay its corpus -----------------
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
TESTS += $(FUZZ:%=$(BUILD)/tests/fuzz/%)
FUZZ_LIBS := $(BUILD)/lib/libden_http.a $(call libs,restore)
FUZZ_PKG := $(PKG_restore) $(PKG_http)
$(BUILD)/obj/tests/fuzz/%.o: INC := $(addprefix -iquote ,tests tests/fuzz $(IN_restore) server/http)
$(BUILD)/obj/tests/fuzz/%.o: PKG := check $(FUZZ_PKG)
$(FUZZ:%=$(BUILD)/tests/fuzz/%): $(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/fuzz_%.o \
    $(BUILD)/obj/tests/fuzz/replay.o $(FUZZ_LIBS)
	@mkdir -p $(@D)
	$(call say,test,$<)
	$(Q)$(CC) $^ $(LINK) $(call pkglibs,check $(FUZZ_PKG)) -o $@
$(FUZZ:%=$(BUILD)/fuzz_%): $(BUILD)/%: $(BUILD)/obj/tests/fuzz/%.o $(FUZZ_LIBS)
	$(call say,ld,$@)
	$(Q)$(CC) -fsanitize=fuzzer $^ $(LINK) $(call pkglibs,$(FUZZ_PKG)) -o $@
$(BUILD)/fuzz_seeds: $(BUILD)/obj/tests/fuzz/seeds.o $(call libs,restore)
	$(call say,ld,$@)
	$(Q)$(CC) $^ $(LINK) $(call pkglibs,$(PKG_restore)) -o $@

# ---- measurements ------------------------------------------------------------------------
$(BUILD)/obj/tests/bench/%.o: INC := $(addprefix -iquote ,tests/bench $(IN_train))
$(BUILD)/obj/tests/bench/%.o: PKG := $(PKG_train)
$(BUILD)/bench: $(call objs,$(wildcard tests/bench/bench*.c)) $(call libs,train)
	$(call say,ld,$@)
	$(Q)$(CC) $(LINK) $^ $(call pkglibs,$(PKG_train)) -o $@
$(BUILD)/peer_net: $(BUILD)/obj/tests/bench/peer_net.o $(call libs,train)
	$(call say,ld,$@)
	$(Q)$(CC) $(LINK) $^ $(call pkglibs,$(PKG_train)) -o $@

# ---- what people type -------------------------------------------------------------------
setup:
	@deploy/setup.sh build

demo:  ## the main job on an embedded default; DATA=DIR takes a folder with pairs.csv
	@deploy/setup.sh build
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@BUILD=$(BUILD) deploy/demo.sh $(DATA)

test:  ## set up, build and run all tests (under 10 minutes on 2 cores)
	@deploy/setup.sh build
	@$(MAKE) --no-print-directory -j$$(nproc) all check-programs
	@$(MAKE) --no-print-directory check-all

test-full:  ## the same tests with the long forms of those that have one
	@DENOISED_TEST_FULL=1 $(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory test-deb

HTTP_TESTS := $(filter $(BUILD)/tests/http/%,$(TESTS))
test-contract:  ## openapi.yaml linted, and the HTTP tests' answers held against it (needs npm)
	@deploy/setup.sh build
	@$(MAKE) --no-print-directory -j$$(nproc) all $(HTTP_TESTS)
	@tests/contract/run.sh $(BUILD) $(HTTP_TESTS)

.PHONY: test-web
test-web: all  ## the web page in a browser, every screen of it; pictures come to build/web/pictures
	@tests/web/run.sh $(BUILD) full

.PHONY: check-programs
check-programs: $(TESTS)

check-all:
	@tests/run.sh $(BUILD) $(TESTS)

THREADS ?= $(shell nproc)
REPETITIONS ?= 15
bench: all $(BUILD)/bench $(BUILD)/peer_net  ## speed of layers, nets, training and requests; THREADS=N REPETITIONS=N
	@BUILD=$(BUILD) THREADS=$(THREADS) REPETITIONS=$(REPETITIONS) tests/bench/bench.sh

bench-peers: $(BUILD)/peer_net  ## the same work in PyTorch and ONNX Runtime; THREADS=N REPETITIONS=N
	@BUILD=$(BUILD) THREADS=$(THREADS) REPETITIONS=$(REPETITIONS) tests/bench/peers.sh

bench-http: all $(BUILD)/peer_net  ## seconds from request to result through the daemon; REPETITIONS=N
	@BUILD=$(BUILD) THREADS=$(THREADS) REPETITIONS=$(REPETITIONS) tests/bench/http.sh

run: all  ## serve on 127.0.0.1:8080 with state in ./state
	$(BUILD)/denoised --listen 127.0.0.1:8080 --state state

# Where a service finds its parts; PREFIX/lib/systemd is a place that systemd looks into.
SYSCONFDIR  ?= /etc
UNITDIR     ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
DOCDIR      ?= $(PREFIX)/share/doc/denoised
# Debian's zsh looks into other folders of /usr and of /usr/local.
ZSHDIR      ?= $(PREFIX)/share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
CONF := $(DESTDIR)$(SYSCONFDIR)/denoised/denoised.conf

# Manual pages and completion scripts: prose of docs/man, the rest from the programs' tables.
MAN := $(addprefix $(BUILD)/man/,denoise.1 denoised.8 denoised.conf.5)
$(BUILD)/man/%: docs/man/% docs/man/make.sh $(PROGRAMS) VERSION
	@mkdir -p $(@D)
	$(call say,man,$@)
	$(Q)docs/man/make.sh $(BUILD) $(VERSION) $< >$@.part && mv $@.part $@
COMPLETIONS := $(addprefix $(BUILD)/completion/,bash zsh fish)
$(COMPLETIONS): $(BUILD)/denoise
	@mkdir -p $(@D)
	$(Q)$(BUILD)/denoise completion $(@F) >$@.part && mv $@.part $@
.PHONY: man
man: $(MAN)  ## manual pages into build/man

install: all $(MAN) $(COMPLETIONS)  ## install into DESTDIR and PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/denoised $(DESTDIR)$(DOCDIR)
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 openapi.yaml LICENSE $(DESTDIR)$(PREFIX)/share/denoised
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,man/man1 man/man5 man/man8 \
	    bash-completion/completions fish/vendor_completions.d) $(DESTDIR)$(ZSHDIR)
	install -m 644 $(BUILD)/man/denoise.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(BUILD)/man/denoised.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 $(BUILD)/man/denoised.8 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 $(BUILD)/completion/bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/denoise
	install -m 644 $(BUILD)/completion/zsh $(DESTDIR)$(ZSHDIR)/_denoise
	install -m 644 $(BUILD)/completion/fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/denoise.fish
	install -m 644 README.md CHANGELOG.md docs/*.md docs/*.png deploy/nginx.conf $(DESTDIR)$(DOCDIR)
	install -d $(DESTDIR)$(DOCDIR)/ci $(DESTDIR)$(DOCDIR)/recipes
	install -m 644 deploy/ci/*.yml $(DESTDIR)$(DOCDIR)/ci
	install -m 755 deploy/recipes/denoise.sh $(DESTDIR)$(DOCDIR)/recipes
	install -m 644 deploy/recipes/denoise.ps1 $(DESTDIR)$(DOCDIR)/recipes

install-service:  ## install the unit, its user, and /etc/denoised/denoised.conf where there is none
	install -d $(addprefix $(DESTDIR),$(UNITDIR) $(SYSUSERSDIR) $(TMPFILESDIR)) $(dir $(CONF))
	sed 's|/usr/local/share/doc/denoised|$(DOCDIR)|; s|/usr/local/|$(PREFIX)/|; s|/etc/denoised/|$(SYSCONFDIR)/denoised/|' \
	    deploy/denoised.service >$(DESTDIR)$(UNITDIR)/denoised.service
	chmod 644 $(DESTDIR)$(UNITDIR)/denoised.service
	install -m 644 deploy/denoised.sysusers $(DESTDIR)$(SYSUSERSDIR)/denoised.conf
	install -m 644 deploy/denoised.tmpfiles $(DESTDIR)$(TMPFILESDIR)/denoised.conf
	[ -e $(CONF) ] || install -m 644 deploy/denoised.conf.example $(CONF)

uninstall:  ## remove both again, but for settings and state
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,denoised denoise)
	rm -f $(DESTDIR)$(UNITDIR)/denoised.service $(DESTDIR)$(SYSUSERSDIR)/denoised.conf \
	    $(DESTDIR)$(TMPFILESDIR)/denoised.conf
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/share/,man/man1/denoise.1 man/man5/denoised.conf.5 \
	    man/man8/denoised.8 bash-completion/completions/denoise \
	    fish/vendor_completions.d/denoise.fish) $(DESTDIR)$(ZSHDIR)/_denoise
	rm -rf $(DESTDIR)$(PREFIX)/share/denoised $(DESTDIR)$(DOCDIR)

.PHONY: install-service deb test-deb
deb:  ## Debian packages into build/deb; they are built and their tests run, without network
	@deploy/setup.sh build deb
	@BUILD=$(BUILD) deploy/deb.sh

test-deb:  ## packages and container file in fresh Debians, as root with debootstrap
	@tests/deploy/package.sh $(BUILD)
	@tests/deploy/container.sh $(BUILD)

clean:  ## remove what was built
	rm -rf $(BUILD)

SOURCES := $(sort $(shell git ls-files '*.c' '*.h' 2>/dev/null))
format:  ## let clang-format decide
	@deploy/setup.sh lint
	clang-format -i $(SOURCES)

lint:  ## clang-format, clang-tidy, cppcheck, layer check and house rules
	@deploy/setup.sh build lint
	@$(MAKE) --no-print-directory -s $(GENERATED) $(BUILD)/gen/fault_points.inc
	@tests/lint.sh

asan:  ## all tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@deploy/setup.sh build
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=build/asan OPT='-O1 -g' \
	    SAN='-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer' \
	    all check-programs
	@CK_TIMEOUT_MULTIPLIER=5 DENOISED_TEST_SLOW=0 $(MAKE) --no-print-directory BUILD=build/asan check-all

tsan:  ## all tests under ThreadSanitizer
	@deploy/setup.sh build
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=build/tsan OPT='-O1 -g' \
	    SAN='-fsanitize=thread' all check-programs
	@CK_TIMEOUT_MULTIPLIER=5 DENOISED_TEST_SLOW=0 $(MAKE) --no-print-directory BUILD=build/tsan check-all

SECONDS ?= 60
fuzz:  ## libFuzzer on every parser, one after the other; SECONDS=N each, FUZZ="NAME..."
	@deploy/setup.sh build fuzz
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=build/fuzz CC=clang OPT='-O1 -g' \
	    SAN='-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined' \
	    $(FUZZ:%=build/fuzz/fuzz_%)
	@tests/fuzz/run.sh build/fuzz $(SECONDS) $(FUZZ)

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r t d; do \
	    printf '  make %-11s %s\n' "$$t" "$$d"; done

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
