# How each environment is made, from its pinned file: `.venvs/NAME/.installed`. The Makefile includes this for a machine,
# the Dockerfiles run it alone for an image. Needs only python3 (3.11 or 3.12) with venv.
#
# Which torch: with nothing said, the package index's own build, which brings CUDA (several GB). A CPU build is taken
# from a folder of wheels named in PIP_FIND_LINKS, or with UV_TORCH_BACKEND=cpu. On a GPU host say CUDA=1, so that
# transcription gets the torch that fits its engine too. All other settings of uv (UV_INDEX, UV_CACHE_DIR, ...) hold.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
UV_VERSION := 0.13.9

SERVICES := studio ingest transcription trainer inference
PRODUCT := $(SERVICES) engine-cpu speech
ENVIRONMENTS := $(PRODUCT) dev

$(foreach name,$(SERVICES),$(eval requirements_$(name) := services/$(name)/requirements.txt))
requirements_engine-cpu := services/inference/requirements-engine-cpu.txt
requirements_speech := services/inference/requirements-speech.txt
requirements_dev := tests/requirements.txt

# uv takes an empty UV_TORCH_BACKEND for the name of one.
UV := $(if $(UV_TORCH_BACKEND),,env -u UV_TORCH_BACKEND) .venvs/uv/bin/uv
FIND_LINKS := $(foreach folder,$(PIP_FIND_LINKS),--find-links $(folder))


# An environment is made anew when its file changes, so that it holds nothing else; the stamp comes last. The pinned
# files name no CUDA library: the second install adds what this machine's torch needs. `--project /` keeps the rules of
# pyproject.toml for `make lock` out of it.
UV_INSTALL = $(UV) --project / pip install --quiet $(FIND_LINKS) --python $(@D)
define environment
cuda_$(1) := $$(and $$(CUDA),$$(wildcard $$(requirements_$(1):.txt=-cuda.txt)))
.venvs/$(1)/.installed: $$(requirements_$(1)) | .venvs/uv/.installed
	@echo "installing $$(@D)"
	@$(UV) venv --quiet --clear --python .venvs/uv/bin/python $$(@D)
	@$$(UV_INSTALL) --no-deps --requirement $$< $$(addprefix --overrides ,$$(cuda_$(1)))
	@! torch=$$$$(grep ^torch== $$(or $$(cuda_$(1)),$$<)) || $$(UV_INSTALL) "$$$$torch"
	@$$(finish_$(1))
	@touch $$@
endef
$(foreach name,$(ENVIRONMENTS),$(eval $(call environment,$(name))))

# torchaudio's wheel is linked to CUDA; without that part it is plain Python, which is all that whisperX uses of it.
finish_transcription = rm -f $(@D)/lib/python3*/site-packages/torchaudio/lib/*.so

# The `diary` command, from wherever it is called.
define finish_studio
printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/bin/python" -m services.studio.cli "$$@"\n' "$(CURDIR)" "$(CURDIR)/$(@D)" \
	> $(@D)/bin/diary && chmod +x $(@D)/bin/diary
endef

# vLLM is linked to libnuma. Where the system has none, Debian's package is unpacked into the environment: no root.
define finish_engine-cpu
$(HAS_LIBNUMA) 2> /dev/null || { $(LIBNUMA); } || \
	{ echo 'vLLM needs libnuma: apt-get install libnuma1, or dnf install numactl-libs' >&2; exit 1; }
endef
HAS_LIBNUMA = $(@D)/bin/python -c 'import ctypes; ctypes.CDLL("libnuma.so.1")'
APT = apt-get --quiet=2 -o Dir::State::Lists=$(CURDIR)/$(@D)/apt/lists -o Dir::Cache=$(CURDIR)/$(@D)/apt/cache \
	-o APT::Sandbox::User=
LIBNUMA = mkdir -p $(@D)/apt/lists/partial $(@D)/apt/cache/archives/partial && \
	(cd $(@D)/apt && $(APT) update && $(APT) download libnuma1 && dpkg -x libnuma1_*.deb ..) && rm -rf $(@D)/apt && \
	echo "import ctypes, glob, sys; ctypes.CDLL(glob.glob(sys.prefix + '/usr/lib/*/libnuma.so.1')[0])" \
		> $$(echo $(@D)/lib/python3*/site-packages)/libnuma.pth && $(HAS_LIBNUMA)

.venvs/uv/.installed:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || \
		{ echo 'Python 3.11 or 3.12 is needed: make PYTHON=python3.12 ...' >&2; exit 1; }
	@echo "installing $(@D)"
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@
