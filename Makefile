# make app: install and open the explorer.
# make test: install the test dependencies, run all checks and tests.
# make check: the fast part of them.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: app test check lint bundle bundle-nothing clean

app: .venv/app.installed
	$(BIN)/python -m streamlit run app.py

# Two tests at a time, those of a file one after another: they share what the file makes once.
PYTEST = $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: lint
	$(PYTEST)

check: lint
	$(PYTEST) -m "not slow and not browser"

lint: .venv/test.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Regenerate the bundled results in cache/bundled: digits and toy faces, two models, all epochs by
# deepfool; first, middle and last by minimal; the last by smoothing; and mitigations on toy faces
# that protect the dimly lit group: the fairness regularizer, adversarial training, re-weighting.
# About fifty minutes on one core; `make -j2 bundle` runs both datasets in parallel.
RBCORE = RBCORE_CACHE=cache/bundled OMP_NUM_THREADS=1 $(BIN)/python -m rbcore
MITIGATIONS = --regularize lighting=dim --alphas 0.3,1 --taus 0.3 --epsilons 0.1 --shares 0.75 --keep 3

bundle: bundle-digits bundle-toyfaces
	rm -rf cache/bundled/parts cache/bundled/datasets cache/bundled/locks

bundle-%: bundle-nothing
	for model in small_cnn logistic_regression; do \
	  $(RBCORE) train $* $$model --device cpu && \
	  $(RBCORE) estimate $* $$model deepfool --epoch all --device cpu && \
	  for epoch in first middle last; do \
	    $(RBCORE) estimate $* $$model minimal --epoch $$epoch --device cpu || exit 1; \
	  done || exit 1; \
	done
	$(RBCORE) estimate $* logistic_regression exact --epoch all --device cpu
	$(RBCORE) estimate $* small_cnn smoothing --every 5 --device cpu
	if [ $* = toyfaces ]; then \
	  $(RBCORE) grid toyfaces small_cnn $(MITIGATIONS) --device cpu && \
	  for run in cache/bundled/runs/toyfaces/small_cnn/*+*; do \
	    $(RBCORE) estimate toyfaces small_cnn minimal --run $${run##*/} --epoch all --device cpu && \
	    $(RBCORE) estimate toyfaces small_cnn deepfool --run $${run##*/} --device cpu || exit 1; \
	  done; \
	fi

bundle-nothing: .venv/app.installed
	rm -rf cache/bundled/runs cache/bundled/distances cache/bundled/samples

.venv/app.installed: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/test.installed: requirements-dev.txt requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@ .venv/app.installed

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache build
