# make app: install and open the explorer.    make test: install what tests need, check and test.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: app test bundle clean

app: .venv/app.installed
	$(BIN)/python -m streamlit run app.py

test: .venv/test.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

# What ships computed in cache/bundled: digits and toy faces, two models, all epochs, every method that applies. About ten minutes.
bundle: .venv/app.installed
	rm -rf cache/bundled/runs cache/bundled/distances
	for dataset in digits toyfaces; do \
	  for model in small_cnn logistic_regression; do \
	    RBCORE_CACHE=cache/bundled $(BIN)/python -m rbcore train $$dataset $$model --device cpu && \
	    RBCORE_CACHE=cache/bundled $(BIN)/python -m rbcore estimate $$dataset $$model deepfool --epoch all --device cpu || exit 1; \
	  done; \
	  RBCORE_CACHE=cache/bundled $(BIN)/python -m rbcore estimate $$dataset logistic_regression exact --epoch all --device cpu || exit 1; \
	done
	rm -rf cache/bundled/parts cache/bundled/datasets

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
