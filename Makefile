# Every target does all of its own set-up.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Most tests of whole programs wait: four at once keep two cores busy.
WORKERS ?= 4
GIVING_WAY ?= $(shell command -v nice > /dev/null && echo nice -n 19)
# Sessions of the truth suite that are played at once; they wait even more.
AT_ONCE ?= 12
CASES ?=
TESTS ?=
PART ?=
# Megabytes of the large file that is collected, which is nothing but a hole.
LARGE ?= 2000
# Of the short part: 3 plays every third.
EVERY ?= 1
PYTEST = $(BIN)/python -m pytest --timeout 120
# What needs real time may fail once on a PC that is busy with others; whatever was tried again is listed.
AGAIN = --reruns 2 --reruns-delay 2 -rfEsxXR

.PHONY: prepare demo test unit integration docs truth truth-short windows screenshots endure fuzz attacks collect audit simulate lint wheel bench clean

# KEEP=1 leaves its rigs running, to be led from the console.
demo: $(VENV)/$(if $(KEEP),console,demo)-ready
	$(BIN)/multirig demo $(if $(KEEP),--keep)

# Programs mostly wait, so what computes is tried beside them, in the time that they leave.
test: $(VENV)/dev-ready
	$(MAKE) --jobs 3 integration docs unit

# What is pure: it computes and never waits, and gives way to what does.
unit: $(VENV)/dev-ready
	$(GIVING_WAY) $(PYTEST) -n auto --dist worksteal tests/unit

# Sockets, programs, disks, cameras, browsers, IBL's own code, and a lab under attack.
integration: $(VENV)/dev-ready
	$(PYTEST) $(AGAIN) -n $(WORKERS) --dist loadgroup tests/integration tests/attacks

# What the documentation says, done.
docs: $(VENV)/dev-ready
	$(PYTEST) $(AGAIN) tests/docs

# Sessions whose truth is known, and what is said of them; CASES='gap/*' plays those, AT_ONCE=4 fewer at once.
truth: $(VENV)/dev-ready
	$(BIN)/python -m tests.truth --quiet --at-once $(AT_ONCE) $(CASES)

# One case of each kind; for each change a third of them is played.
truth-short: $(VENV)/dev-ready
	$(BIN)/python -m tests.truth --short --every $(EVERY) --quiet --at-once $(AT_ONCE)

# All of it that makes sense there, with a real Python for Windows under Wine; TESTS='tests/unit/pc' those alone,
# PART=--part what is tried for each change, PART=--pictures draws those of the how-to. The first time it installs Wine, where it may.
windows: $(VENV)/dev-ready
	$(BIN)/python -m tests.windows $(PART) $(TESTS)

# Installs all that the other targets use.
prepare: $(VENV)/dev-ready

# The pictures of the console in the docs, taken by its tests.
screenshots: $(VENV)/dev-ready
	MULTIRIG_SCREENSHOTS=docs/images $(PYTEST) tests/integration/dashboard

endure: $(VENV)/dev-ready
	MULTIRIG_ENDURE=1 $(BIN)/python -m pytest tests/integration/faults

fuzz: $(VENV)/dev-ready
	MULTIRIG_FUZZ=1 $(BIN)/python -m pytest tests/integration/faults/test_blast.py tests/unit/trust/test_attacks_fuzz.py

# What somebody who means harm may try, wherever its test lies.
attacks: $(VENV)/dev-ready
	$(PYTEST) -n $(WORKERS) --dist loadgroup -m attack tests/unit tests/integration tests/attacks

# Whether anything is lost, or said to be there that is not, whatever happens to a copy: many more labs, each step
# of each story, 30,000 small files and a large one. LARGE=20000 makes that one of 20 GB.
collect: $(VENV)/dev-ready
	MULTIRIG_LABS=200 MULTIRIG_EVERY_CUT=1 MULTIRIG_SMALL_FILES=30000 MULTIRIG_LARGE=$(LARGE) \
	  $(BIN)/python -m pytest --timeout 1800 -n $(WORKERS) --dist worksteal tests/unit/collect tests/integration/collect tests/integration/faults/test_collecting.py

# Whether holes are known in the versions of constraints.txt; skipped by name where nobody can be asked.
audit: $(VENV)/audit-ready
	$(BIN)/python -m tests.audit

simulate: $(VENV)/dev-ready
	$(BIN)/multirig rehearse --seeds 10000

lint: $(VENV)/dev-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# The package as one file, for PCs that install it from there.
wheel: $(VENV)/dev-ready
	$(BIN)/python -m hatchling build -t wheel -d dist

bench: $(VENV)/bench-ready
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV)

$(VENV)/python-ready:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "multirig needs Python 3.10 or newer; say which: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/demo-ready: $(VENV)/python-ready pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[camera]'
	@touch $@

$(VENV)/console-ready: $(VENV)/python-ready pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[camera,console,plot]'
	@touch $@ $(VENV)/demo-ready

$(VENV)/dev-ready: $(VENV)/python-ready pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/demo-ready $(VENV)/console-ready

$(VENV)/audit-ready: $(VENV)/dev-ready
	$(BIN)/python -m pip install --quiet --editable '.[dev,audit]'
	@touch $@

$(VENV)/bench-ready: $(VENV)/dev-ready
	$(BIN)/python -m pip install --quiet --editable '.[dev,bench]'
	@touch $@
