# The two commands: `make book` builds the book, `make test` tests all of it.
PYTHON ?= python3
BIN := .venv/bin
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
endif
PAGE := book/_build/html/index.html

.PHONY: help book serve lab test unit chapters html colab bench sync lock clean install format
.DEFAULT_GOAL := help

help: ## Show what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /: /' | column -t -s ':'

install: ## Make the environment .venv (the other targets do it when needed)
	@$(PYTHON) tools/install.py

book: install ## Execute every chapter and write the HTML
	@$(BIN)/jupyter-book build book -W -n --keep-going
	@echo "The book is ready: open $(PAGE)"

serve: book ## Build the book and serve it at http://localhost:8000
	@$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory book/_build/html

lab: install ## Open the chapters in JupyterLab
	@$(BIN)/jupyter lab --notebook-dir book

test: install ## Everything: style, units, chapters, the book in a browser, Colab
	@$(BIN)/python tools/test.py all

unit: install ## Style, unit tests and doctests (under a minute)
	@$(BIN)/python tools/test.py style unit

chapters: install ## Run every chapter as a test
	@$(BIN)/python tools/test.py chapters

html: install ## Build strictly and test the pages in a browser
	@$(BIN)/python tools/test.py html

colab: install ## Every chapter alone in an empty folder, as on Colab
	@$(BIN)/python tools/test.py colab

bench: install ## Measure pages, sliders, chapters and blocks
	@$(BIN)/python tools/bench.py

sync: install ## Write the companion's code and the repository's address into the chapters
	@$(BIN)/python tools/sync.py --fix

format: install ## Format code and strip the chapters
	@$(BIN)/ruff format .
	@$(BIN)/python tools/sync.py --fix

lock: ## Write requirements.txt anew from requirements.in
	@$(PYTHON) tools/lock.py

clean: ## Remove what was built (not the environment)
	rm -rf book/_build .cache build .pytest_cache .ruff_cache .hypothesis
