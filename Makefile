# What a person asks for; `make help` lists it. How the environments are made: services/environments.mk.

include services/environments.mk
.DEFAULT_GOAL := help

.PHONY: help install install-demo lock format check vendor test test-slow test-compose test-compose-light demo up down clean \
	doctor env s3-policies pull models images push update-ytdlp bench-ingest bench-repeats bench-transcription bench-trainer \
	bench-inference bench-pages bench-review bench-workers showcase

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

install: $(ENVIRONMENTS:%=.venvs/%/.installed) .venvs/browser/.installed ## make or update all environments

up: $(PRODUCT:%=.venvs/%/.installed) ## start the store, the services and the pages on this machine, without Docker
	.venvs/studio/bin/python -m services.studio.machine.local up

down: .venvs/studio/.installed ## stop what `make up` started
	.venvs/studio/bin/python -m services.studio.machine.local down

demo: ## the whole story on two CPU cores, from speech to a new episode, installs included
	@began=$$(date +%s) && $(MAKE) --no-print-directory install-demo && \
		DEMO_INSTALL_S=$$(( $$(date +%s) - began )) .venvs/studio/bin/python -m examples.demo

install-demo: $(PRODUCT:%=.venvs/%/.installed)

test: $(ENVIRONMENTS:%=.venvs/%/.installed) .venvs/browser/.installed ## unit tests in seconds, then a tiny run through every real engine
	.venvs/dev/bin/python -m pytest -m "not slow"

test-slow: $(ENVIRONMENTS:%=.venvs/%/.installed) .venvs/browser/.installed ## kills of real engines, real speech: minutes
	.venvs/dev/bin/python -m pytest -m slow

test-compose: .venvs/dev/.installed .venvs/speech/.installed ## build all images and live in them: demo, restarts, moves; half an hour
	.ci/with-docker .venvs/dev/bin/python -m tests.containers full

test-compose-light: .venvs/dev/.installed ## the same for the S3 server, studio and ingest: minutes
	.ci/with-docker .venvs/dev/bin/python -m tests.containers light

bench-ingest: .venvs/dev/.installed .venvs/ingest/.installed ## time and memory of a three-hour recording on its way through ingest: minutes
	.venvs/dev/bin/python -m tests.bench_ingest

bench-repeats: .venvs/dev/.installed ## two million made-up words, read for repeated spans
	.venvs/dev/bin/python -m tests.bench_repeats

bench-transcription: .venvs/dev/.installed .venvs/transcription/.installed ## our ear against whisperX's own command, and its memory over 30 jobs: minutes
	.venvs/dev/bin/python -m tests.bench_transcription

bench-trainer: .venvs/trainer/.installed ## how full packs are, and training beside padded rows: minutes; on a GPU: python -m tests.bench_trainer gpu
	.venvs/trainer/bin/python -m services.trainer.engine prepare --out .run/models/base
	.venvs/trainer/bin/python -m tests.bench_trainer cpu

bench-inference: .venvs/dev/.installed .venvs/trainer/.installed .venvs/engine-cpu/.installed ## what an episode costs by its length, and eight at once: half an hour
	.venvs/dev/bin/python -m tests.bench_inference run

bench-pages: .venvs/dev/.installed ## how long each page of a show with 500 recordings takes: minutes
	.venvs/dev/bin/python -m tests.bench_pages

bench-review: .venvs/dev/.installed ## after `make demo`: its doubtful turns put right by keyboard, in a browser
	.venvs/dev/bin/python -m tests.bench_review

bench-workers: .venvs/dev/.installed ## what three workers of transcription do beside one, on a stub engine: minutes
	.venvs/dev/bin/python -m tests.bench_workers

showcase: .venvs/studio/.installed ## 10,000 words with an invented guest, by the stack that DIARY_URL names: for a GPU host
	.venvs/studio/bin/python -m examples.showcase

doctor: ## what this machine has and lacks for containers, before anything is downloaded
	@$(PYTHON) -m services.studio.machine.host

env: ## what `docker compose up` needs: .env to edit, and random secrets in secrets/ (HF_TOKEN=... goes there too)
	@$(PYTHON) -m services.studio.machine.env

s3-policies: ## a key of the object store for each service, in secrets/, and what it may do with it, in dist/s3/
	@$(PYTHON) -m services.studio.machine.policies $(and $(S3_BUCKET),--bucket $(S3_BUCKET))

pull: ## fetch the images of others; ours too, where IMAGE_PREFIX names your registry
	docker compose pull --ignore-buildable
	@prefix=$${IMAGE_PREFIX:-$$(sed -n 's/^IMAGE_PREFIX=//p' .env 2> /dev/null)}; \
		if [ -n "$$prefix" ]; then PULL_POLICY=missing docker compose pull $(SERVICES); else docker compose build --pull; fi

models: ## fetch every model at its pinned revision, with size and licence; afterwards HF_HUB_OFFLINE=1 may be set
	@for name in transcription trainer inference; do docker compose run --rm --no-deps $$name python -m services.$$name.app models; done

images: .venvs/dev/.installed ## build all images (IMAGE_PREFIX=... VERSION=...) and write what is in each to dist/NAME.cdx.json
	docker compose build
	@mkdir -p dist
	@for image in $$(docker compose config --images $(SERVICES) | grep -E "/($(subst $(eval ) ,|,$(SERVICES))):"); do \
		name=$${image##*/}; name=$${name%%:*}; echo "listing $$image"; \
		SYFT_CHECK_FOR_APP_UPDATE=false .venvs/dev/bin/syft scan --quiet docker:$$image --output cyclonedx-json=dist/$$name.cdx.json; \
	done

push: ## send our images to the registry that IMAGE_PREFIX names, and write their digests to k8s/images
	docker compose push $(SERVICES)
	@$(PYTHON) -m services.studio.machine.image_digests $$(docker compose config --images $(SERVICES))

format: .venvs/dev/.installed ## lay out the code and repair what a tool can
	.venvs/dev/bin/ruff check --fix shared services tests examples
	.venvs/dev/bin/ruff format shared services tests examples

check: .venvs/dev/.installed ## look for mistakes, formatting and wrong types
	.venvs/dev/bin/ruff check shared services tests examples
	.venvs/dev/bin/ruff format --check shared services tests examples
	.venvs/dev/bin/mypy shared services tests examples

lock: .venvs/uv/.installed ## pin pyproject.toml's extras into the requirements files (UPGRADE=1 for newer versions)
	@$(foreach name,$(ENVIRONMENTS),$(call compile,$(name)))

vendor: ## bring the browser libraries that services/studio/pages/static/vendor/vendor.json names; needs npm
	.ci/vendor

update-ytdlp: .venvs/uv/.installed ## pin the newest yt-dlp, which sites' changes ask for, and make ingest again, nothing else
	@$(foreach name,ingest dev,$(call compile,$(name),$(YT_DLP:%=--upgrade-package %)))
	@grep -E '^($(subst $(eval ) ,|,$(YT_DLP)))==' $(requirements_ingest)
	@$(MAKE) --no-print-directory .venvs/ingest/.installed
	@if docker info > /dev/null 2>&1; then docker compose build ingest && echo 'now: docker compose up --detach ingest'; \
		else echo 'no Docker answers here: where ingest runs in a container, run docker compose build ingest there'; fi

# What looks for barriers in the pages. Tests of pages also want Chromium: apt-get install chromium.
AXE := axe-core@4.14.1
.venvs/browser/.installed: Makefile
	@if command -v npm > /dev/null; then echo "installing $(@D)"; mkdir -p $(@D) && \
		npm install --silent --no-audit --no-fund --no-save --prefix $(@D) $(AXE) > /dev/null && touch $@; \
		else echo 'no npm here: the pages are tested without axe-core'; fi

clean: ## remove the environments and the tools' caches, never data
	rm -rf .venvs .mypy_cache .ruff_cache .pytest_cache .hypothesis

# yt-dlp and what comes with its `default` extra alone; what other packages want too stays as it is.
YT_DLP := yt-dlp yt-dlp-ejs brotli mutagen pycryptodomex websockets

# Of an environment, with further arguments. Pins go without torch's build (+cpu), so that each machine may choose its
# own. An unchanged file keeps its time.
compile = cp -f $(requirements_$(1)) $(requirements_$(1)).new 2> /dev/null || true; \
	$(UV) pip compile pyproject.toml --extra $(1) --output-file $(requirements_$(1)).new --quiet $(FIND_LINKS) \
	--python-version 3.11 --python-platform x86_64-manylinux_2_28 --custom-compile-command "make lock" \
	$(and $(UPGRADE),--upgrade) $(2) $(without_$(1)); sed -i 's/^\(torch==[0-9.]*\)+cpu/\1/' $(requirements_$(1)).new; \
	cmp -s $(requirements_$(1)).new $(requirements_$(1)) && rm $(requirements_$(1)).new || \
	mv $(requirements_$(1)).new $(requirements_$(1));
without_engine-cpu := --no-emit-package torchaudio
